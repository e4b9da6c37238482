local due = next_deadline()
return reply({ wait = due and math.max(due - now, 0) or rules.silence })

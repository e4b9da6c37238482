if untidy() then
  return reply({ again = true })
end
local due = next_deadline()
return reply({ wait = due and math.max(due - now, 0) or rules.silence })

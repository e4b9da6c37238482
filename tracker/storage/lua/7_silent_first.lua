-- Before anything else, in all scripts that look at nodes or change them.
if expire() then
  return reply({ again = true })
end
clear()

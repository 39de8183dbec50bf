-- Removes events, whatever their state.
--
-- ARGV  2…: the events' keys
-- Returns how many there were.

local deleted = 0
for i = 2, #ARGV do
  if remove(ARGV[i]) then
    deleted = deleted + 1
  end
end
return deleted

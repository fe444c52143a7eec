-- The same work in Redis: orders stored once each, their stock taken with them and never below zero, all lines
-- or none, and an id that was used before changes nothing. A script runs alone, so it takes first and puts back
-- if it was too much: nobody sees what is between.
--
-- ARGV: lines of an order, "full" or "primary", 1 for the hot item or 0; then for each order two random numbers
-- for its id, one for its customer, one for each line's item, and its content. redis-benchmark can send random
-- numbers of one range only, so they are cut to theirs here. Answers how many orders were placed.
local lines, full, hot = tonumber(ARGV[1]), ARGV[2] == 'full', ARGV[3] == '1'
local call, format = redis.call, string.format
local now = call('TIME')
local ms = now[1] * 1000 + math.floor(now[2] / 1000)
local placed = 0

for at = 4, #ARGV, 4 + lines do
    local id = format('%012x-', ms) .. ARGV[at] .. ARGV[at + 1]
    local customer = format('customer-%06d', ARGV[at + 2] % 50000)
    local body = ARGV[at + 3 + lines]
    if call('SET', 'order:' .. id, customer .. ' 1 ' .. ms .. ' ' .. body, 'NX') then
        local short = 0
        for line = 1, lines do
            local item = (hot and line == 1) and 0 or ARGV[at + 2 + line] % 10000
            if call('DECRBY', format('stock:SKU-%06d', item), 1) < 0 then
                short = line
                break
            end
        end
        if short > 0 then
            for line = 1, short do
                local item = (hot and line == 1) and 0 or ARGV[at + 2 + line] % 10000
                call('INCRBY', format('stock:SKU-%06d', item), 1)
            end
            call('DEL', 'order:' .. id)
        else
            placed = placed + 1
            if full then
                call('ZADD', 'orders:by_time', ms, id)
                call('ZADD', 'orders:of:' .. customer, ms, id)
                call('ZADD', 'orders:status:1', ms, id)
            end
        end
    end
end
return placed

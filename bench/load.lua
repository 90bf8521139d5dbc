-- wrk's script: posts the lines of a file in turn and prints what happened as JSON.
-- Arguments: the file, the number that the first row that was never sent before gets, the number of clients, for how
-- many milliseconds each rests between an answer and its next request (in the mean, exponentially distributed; 0: not at
-- all), and for how many seconds all rest before.
local bodies, sent, unique, begun = {}, 0, 0, 0

function init(args)
  for line in io.lines(args[1]) do bodies[#bodies + 1] = line end
  unique = tonumber(args[2])
  wrk.headers["Content-Type"] = "application/json"
  local clients, rest, wait = tonumber(args[3]), tonumber(args[4]), tonumber(args[5])
  if rest > 0 then
    math.randomseed(unique)
    function delay()
      begun = begun + 1
      return math.floor(0.5 - rest * math.log(1 - math.random())) + (begun <= clients and 1000 * wait or 0)
    end
  end
end

function request()
  sent = sent + 1
  local body = bodies[(sent - 1) % #bodies + 1]
  return wrk.format("POST", nil, nil, (body:gsub("1234567890", string.format("%010d", unique + sent), 1)))
end

function done(summary, latency)
  local e = summary.errors
  print(string.format('{"answers": %d, "seconds": %f, "p50": %f, "p99": %f, "errors": %d}',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    e.connect + e.read + e.write + e.status + e.timeout))
end

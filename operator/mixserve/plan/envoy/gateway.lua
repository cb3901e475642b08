-- Runs inside Envoy for each request that may go to an engine.
--
-- On the way there it reads the model's name from the body; where the route of that name says so, it asks the gateway's
-- process where the request goes, and writes the answer into the request's metadata, from which the route is then chosen
-- again. On the way back it keeps what the answer says about the tokens that it took, for the request log.
--
-- TIMEOUT_MS is set before this text. Both ways look at quotes and brackets only: parsing all JSON, as Envoy's own filters
-- do, costs several times what Envoy needs for everything else.

local find, byte, sub, gsub = string.find, string.byte, string.sub, string.gsub

-- Longer than any name of a model: a stranger's text must not fill the log.
local LONGEST_NAME = 256

-- What is kept of a "usage" that is not complete.
local LONGEST_USAGE = 8192

-- The position after the string that begins with the quote at `from`; nil if it does not end.
local function string_end(text, from)
  local quote = from
  while true do
    quote = find(text, '"', quote + 1, true)
    if not quote then return nil end
    local before = quote - 1
    while byte(text, before) == 92 do before = before - 1 end
    if (quote - before) % 2 == 1 then return quote + 1 end
  end
end

-- Where the value of the last "model" of a JSON object stands: positions of its first and last character. Keys of
-- objects inside it do not count, nor do strings that look like keys. 0 if there is none; nil if this is no object.
-- Only strings and brackets are looked at, so that a long prompt costs little; what else is wrong the engine says.
local function model_of(text)
  local at = find(text, "%S")
  if not at or byte(text, at) ~= 123 then return nil end
  local depth, first, last = 0, 0, 0
  while true do
    at = find(text, '["{}%[%]]', at)
    if not at then return nil end
    local character = byte(text, at)
    if character == 34 then
      local after = string_end(text, at)
      if not after then return nil end
      if depth == 1 and after - at == 7 and sub(text, at, after - 1) == '"model"' then
        local _, quote = find(text, '^%s*:%s*"', after)
        if quote then
          after = string_end(text, quote)
          if not after then return nil end
          first, last = quote + 1, after - 2
        elseif find(text, "^%s*:", after) then
          first, last = 0, 0
        end
      end
      at = after
    else
      local opens = character == 123 or character == 91
      depth = depth + (opens and 1 or -1)
      at = at + 1
      if depth == 0 then
        if find(text, "%S", at) then return nil end
        return first, last
      end
    end
  end
end

-- A name as it is meant: some clients write "\\/" for "/". What no name has becomes "?".
local function plain(name)
  if find(name, "\\", 1, true) then
    name = gsub(name, "\\u00(%x%x)", function(code) return string.char(tonumber(code, 16)) end)
    name = gsub(name, "\\(.)", "%1")
  end
  return (gsub(sub(name, 1, LONGEST_NAME), "[^\32-\126]", "?"))
end

-- What the gateway's process has to know besides the body.
local function question(handle, kind, name)
  local headers = handle:headers()
  local asked = {[":method"] = "POST", [":path"] = "/decide/" .. kind .. "/" .. name, [":authority"] = "gateway"}
  for _, override in ipairs({"x-mixserve-tier", "x-mixserve-pool", "x-mixserve-session"}) do
    asked[override] = headers:get(override)
  end
  return asked
end

-- Follow a decision. Objects of before the question may not be used after it.
local function follow(handle, answer)
  local metadata = handle:streamInfo():dynamicMetadata()
  for _, key in ipairs({"chain", "endpoints", "policy", "tier", "complexity", "cause", "reason"}) do
    local value = answer["x-mixserve-" .. key]
    if value then metadata:set("mixserve", key, value) end
  end
  local limit = answer["x-mixserve-first-byte-timeout-ms"]
  if limit then handle:headers():replace("x-envoy-upstream-rq-per-try-timeout-ms", limit) end
end

-- The process answers instead of an engine.
local function refuse(handle, answer, body)
  handle:streamInfo():dynamicMetadata():set("mixserve", "state", "answered")
  local headers = {[":status"] = answer[":status"], ["content-type"] = "application/json"}
  headers["retry-after"] = answer["retry-after"]
  handle:respond(headers, body)
end

-- Each pool of a chain has another name for its model, so none is sent: engines then take their own.
local function forget_model(handle, text, first, last)
  local body = handle:body()
  local length = body:setBytes(sub(text, 1, first - 1) .. sub(text, last + 1))
  handle:headers():replace("content-length", tostring(length))
end

-- Whether the client wants a stream's last event, which has the usage and no choices.
local function wants_usage(text)
  local key = find(text, '"include_usage"', 1, true)
  return key and find(text, "^%s*:%s*true", key + 15)
end

function envoy_on_request(handle)
  local body = handle:body()
  local text = body and body:getBytes(0, body:length())
  local first, last
  if text then first, last = model_of(text) end
  local name = first and first > 0 and plain(sub(text, first, last)) or ""
  local metadata = handle:streamInfo():dynamicMetadata()
  metadata:set("mixserve", "model", name)
  if text and wants_usage(text) then metadata:set("mixserve.client", "wants_usage", true) end
  if name == "" then metadata:set("mixserve", "state", first and "nameless" or "broken") end
  handle:clearRouteCache()

  local route = handle:metadata()
  local kind = route:get("ask")
  if not kind then return end
  local asked = question(handle, kind, route:get("name"))
  local answer, said = handle:httpCall("@gateway", asked, text, TIMEOUT_MS)
  if answer["x-mixserve-decided"] then
    follow(handle, answer)
    if answer["x-mixserve-chain"] then forget_model(handle, text, first, last) end
    handle:clearRouteCache()
  elseif answer["x-mixserve-refused"] then
    refuse(handle, answer, said)
  end
  -- Otherwise the process is gone or late: the route that there is says what becomes of the request.
end

-- Runs for each chunk of a stream, so it looks for plain texts only: those searches LuaJIT compiles, patterns it does not.

-- The position of the first character from `at` on that is no blank, and what it is; nil at the end of the text.
local function after_blanks(text, at)
  local character = byte(text, at)
  while character == 32 or character == 10 or character == 13 or character == 9 do
    at = at + 1
    character = byte(text, at)
  end
  return at, character
end

-- The position of the bracket that closes the one at `first`; nil if it is not there yet.
local function object_end(text, first)
  local depth, at = 1, first + 1
  while depth > 0 do
    local closing, opening = find(text, "}", at, true), find(text, "{", at, true)
    if not closing then return nil end
    if opening and opening < closing then
      depth, at = depth + 1, opening + 1
    else
      depth, at = depth - 1, closing + 1
    end
  end
  return at - 1
end

-- The text of the last complete "usage" object, and where an incomplete one begins. A text of the model cannot look like
-- one: its quotes are escaped.
local function usage_of(text)
  local found
  local key = find(text, '"usage"', 1, true)
  while key do
    local at, character = after_blanks(text, key + 7)
    if character == 58 then at, character = after_blanks(text, at + 1) end
    if not character then return found, key end
    if character == 123 then
      local last = object_end(text, at)
      if not last then return found, key end
      found, at = sub(text, at, last), last
    end
    key = find(text, '"usage"', at, true)
  end
  return found
end

-- Engines are told to say what streams use, so they end each with an event without choices. Who has not asked for that
-- does not get it: many programs read the first choice of every event.
local function without_usage_event(text)
  return (gsub(text, "data: [^\n]*\n\n", function(event)
    if find(event, '"choices":[]', 1, true) and find(event, '"usage":{', 1, true) then return "" end
  end))
end

local function drops_usage_event(handle)
  local kind = handle:headers():get("content-type")
  if not kind or sub(kind, 1, 17) ~= "text/event-stream" then return false end
  return not handle:streamInfo():dynamicMetadata():get("mixserve.client")
end

function envoy_on_response(handle)
  if handle:headers():get(":status") ~= "200" then return end
  local drops = drops_usage_event(handle)
  local rest = ""
  for chunk in handle:bodyChunks() do
    local bytes = chunk:getBytes(0, chunk:length())
    if drops and find(bytes, '"choices":[]', 1, true) then chunk:setBytes(without_usage_event(bytes)) end
    local text = rest == "" and bytes or rest .. bytes
    local usage, incomplete = usage_of(text)
    -- For each chunk: nothing is called when a client leaves.
    if usage then handle:streamInfo():dynamicMetadata():set("mixserve", "usage", usage) end
    if incomplete then rest = sub(text, incomplete, incomplete + LONGEST_USAGE)
    elseif byte(text, -1) == 10 then rest = ""
    else rest = sub(text, -6)
    end
  end
end

-- The classroom transport in Wireshark and tshark: every message of docs/protocol.md with all of its fields.
--
-- 1. Write a capture: python TorrentClient.py -node_id 2 -pcap run.pcap
-- 2. To install: copy this file into the folder that Help > About Wireshark > Folders calls Personal Lua Plugins.
-- 3. Analyze > Reload Lua Plugins, and open run.pcap. Ports do not matter: a message is known by its first bytes.
-- 4. Filter: swarm, swarm.type == 0x12, swarm.sequence == 7. Then: Statistics > Flow Graph.
-- 5. Without installing: tshark -X lua_script:labs/swarm.lua -r run.pcap
--
-- Written for Lua 5.2 (Wireshark up to 4.2) and 5.4 alike: arithmetic in place of bit operators.

local MAGIC, VERSION = 0xC5, 1
local HEADER_SIZE, TOKEN_SIZE, HASH_SIZE = 32, 16, 20
local ASK, TOKEN, TELL, REFUSE, METADATA, REQUEST, DATA = 0x01, 0x02, 0x03, 0x04, 0x05, 0x11, 0x12
local TYPES = {
    [ASK] = "ASK", [TOKEN] = "TOKEN", [TELL] = "TELL", [REFUSE] = "REFUSE", [METADATA] = "METADATA",
    [REQUEST] = "REQUEST", [DATA] = "DATA",
}
local FAMILIES = { [0] = "Node2Node", [1] = "ChunkSharing" }
local REASONS = { [1] = "NOT_SHARED", [2] = "CHANGED", [3] = "NOT_HELD", [4] = "BUSY", [5] = "NOT_RARE" }
local CHECKS = { [0] = "wrong", [1] = "right" }
local SIZES = { -- bytes of a whole datagram: lowest, highest
    [ASK] = { 128, 128 }, [TOKEN] = { 48, 48 }, [TELL] = { 40, 1064 }, [REFUSE] = { 35, 35 },
    [METADATA] = { 40, 1064 }, [REQUEST] = { 72, 72 }, [DATA] = { 33, 65507 },
}
local CHECKED = 0x01

local swarm = Proto("swarm", "Classroom swarm")
local fields = {
    magic = ProtoField.uint8("swarm.magic", "Magic", base.HEX),
    version = ProtoField.uint8("swarm.version", "Version"),
    type = ProtoField.uint8("swarm.type", "Type", base.HEX, TYPES),
    family = ProtoField.uint8("swarm.family", "Family", base.DEC, FAMILIES, 0xF0),
    flags = ProtoField.uint8("swarm.flags", "Flags", base.HEX),
    checked = ProtoField.bool("swarm.flags.checked", "CHECKED: the check covers the payload", 8, nil, 0x01),
    complete = ProtoField.bool("swarm.flags.complete", "COMPLETE: the owner holds every piece", 8, nil, 0x02),
    rare_only = ProtoField.bool("swarm.flags.rare_only", "RARE_ONLY: refuse if not rare", 8, nil, 0x04),
    wants_metadata = ProtoField.bool("swarm.flags.wants_metadata", "WANTS_METADATA", 8, nil, 0x08),
    length = ProtoField.uint32("swarm.length", "Length"),
    transfer_id = ProtoField.uint64("swarm.transfer_id", "Transfer id", base.HEX),
    offset = ProtoField.uint64("swarm.offset", "Offset"),
    first_piece = ProtoField.uint64("swarm.first_piece", "First piece of the bitfield"),
    sequence = ProtoField.uint32("swarm.sequence", "Sequence"),
    check = ProtoField.uint32("swarm.check", "Check (CRC-32)", base.HEX),
    check_status = ProtoField.uint8("swarm.check.status", "Check is", base.DEC, CHECKS),
    info_hash = ProtoField.bytes("swarm.info_hash", "Info hash"),
    token = ProtoField.bytes("swarm.token", "Token"),
    node_id = ProtoField.uint32("swarm.node_id", "Node number"),
    node_number = ProtoField.uint32("swarm.node_id_plus_1", "Node number plus 1"),
    padding = ProtoField.bytes("swarm.padding", "Padding"),
    size = ProtoField.uint64("swarm.size", "Size"),
    bitfield = ProtoField.bytes("swarm.bitfield", "Bitfield"),
    page = ProtoField.bytes("swarm.page", "Page of the info dictionary"),
    reason = ProtoField.uint8("swarm.reason", "Reason", base.DEC, REASONS),
    queue_position = ProtoField.uint16("swarm.queue_position", "Position in the queue"),
    segment_size = ProtoField.uint32("swarm.segment_size", "Segment size"),
    payload = ProtoField.bytes("swarm.payload", "Payload"),
    payload_length = ProtoField.uint32("swarm.payload.length", "Payload length"),
}
local all_fields = {}
for _, field in pairs(fields) do all_fields[#all_fields + 1] = field end
swarm.fields = all_fields

local malformed = ProtoExpert.new(
    "swarm.malformed", "Malformed message", expert.group.MALFORMED, expert.severity.ERROR
)
local wrong_check = ProtoExpert.new(
    "swarm.check.wrong", "The check is wrong: damaged on its way", expert.group.CHECKSUM, expert.severity.WARN
)
swarm.experts = { malformed, wrong_check }
swarm.prefs.check = Pref.bool("Compute the check (CRC-32)", true, "Of DATA the payload is covered if CHECKED")

-- CRC-32 (IEEE 802.3) without bit operators. XOR is a table of 4-bit numbers, applied digit by digit.

local XOR4 = {}
for a = 0, 15 do
    for b = 0, 15 do
        local result, bit, x, y = 0, 1, a, b
        for _ = 1, 4 do
            if x % 2 ~= y % 2 then result = result + bit end
            x, y, bit = math.floor(x / 2), math.floor(y / 2), bit * 2
        end
        XOR4[a * 16 + b] = result
    end
end

local function xor(a, b, digits)
    local result, place = 0, 1
    for _ = 1, digits do
        local x, y = a % 16, b % 16
        result = result + XOR4[x * 16 + y] * place
        a, b, place = (a - x) / 16, (b - y) / 16, place * 16
    end
    return result
end

local XOR8, CRC = {}, {}
for a = 0, 255 do
    for b = 0, 255 do XOR8[a * 256 + b] = xor(a, b, 2) end
end
for byte = 0, 255 do
    local rest = byte
    for _ = 1, 8 do
        local odd = rest % 2 == 1
        rest = (rest - rest % 2) / 2
        if odd then rest = xor(rest, 0xEDB88320, 8) end
    end
    -- The four bytes of each entry, lowest first.
    local entry = {}
    for index = 1, 4 do
        entry[index] = rest % 256
        rest = (rest - rest % 256) / 256
    end
    CRC[byte] = entry
end

local function crc32(first, second)
    local a, b, c, d = 255, 255, 255, 255 -- the register's bytes, lowest first
    local function feed(text)
        for at = 1, #text do
            local entry = CRC[XOR8[a * 256 + text:byte(at)]]
            a, b, c, d = XOR8[b * 256 + entry[1]], XOR8[c * 256 + entry[2]], XOR8[d * 256 + entry[3]], entry[4]
        end
    end
    feed(first)
    feed(second)
    return (255 - d) * 16777216 + (255 - c) * 65536 + (255 - b) * 256 + (255 - a)
end

local function has_flag(flags, flag)
    return math.floor(flags / flag) % 2 == 1
end

-- The fields behind the header, one function for each type. ``tree`` gets them; the text for the Info column is
-- returned. Sizes are checked before.

local function ask(buffer, tree, flags)
    tree:add(fields.info_hash, buffer(32, HASH_SIZE))
    tree:add(fields.token, buffer(52, TOKEN_SIZE))
    tree:add(fields.node_number, buffer(68, 4))
    local number = buffer(68, 4):uint()
    if number > 0 then tree:add(fields.node_id, buffer(68, 4), number - 1) end
    tree:add(fields.padding, buffer(72, 56))
    local from = number > 0 and string.format(" from node %.0f", number - 1) or ""
    return (has_flag(flags, 0x08) and " for metadata" or "") .. from
end

local function token(buffer, tree)
    tree:add(fields.token, buffer(32, TOKEN_SIZE))
    return ""
end

local function tell(buffer, tree, flags)
    tree:add(fields.size, buffer(32, 8))
    if buffer:len() > 40 then tree:add(fields.bitfield, buffer(40)) end
    return string.format(" %s bytes%s", tostring(buffer(32, 8):uint64()), has_flag(flags, 0x02) and ", complete" or "")
end

local function refuse(buffer, tree)
    tree:add(fields.reason, buffer(32, 1))
    tree:add(fields.queue_position, buffer(33, 2))
    local position = buffer(33, 2):uint()
    local reason = REASONS[buffer(32, 1):uint()] or "reason unknown"
    return " " .. reason .. (position > 0 and string.format(" %d", position) or "")
end

local function metadata(buffer, tree)
    tree:add(fields.size, buffer(32, 8))
    if buffer:len() > 40 then tree:add(fields.page, buffer(40)) end
    return string.format(" of %s bytes", tostring(buffer(32, 8):uint64()))
end

local function range(buffer)
    local offset = buffer(16, 8):uint64()
    return string.format(" [%s, +%.0f)", tostring(offset), buffer(4, 4):uint())
end

local function request(buffer, tree)
    tree:add(fields.info_hash, buffer(32, HASH_SIZE))
    tree:add(fields.token, buffer(52, TOKEN_SIZE))
    tree:add(fields.segment_size, buffer(68, 4))
    return range(buffer)
end

local function data(buffer, tree)
    tree:add(fields.payload, buffer(HEADER_SIZE))
    tree:add(fields.payload_length, buffer(HEADER_SIZE), buffer:len() - HEADER_SIZE)
    return range(buffer)
end

local BODIES = {
    [ASK] = ask, [TOKEN] = token, [TELL] = tell, [REFUSE] = refuse, [METADATA] = metadata,
    [REQUEST] = request, [DATA] = data,
}

local function add_header(buffer, tree, kind, flags)
    tree:add(fields.magic, buffer(0, 1))
    tree:add(fields.version, buffer(1, 1))
    tree:add(fields.type, buffer(2, 1))
    tree:add(fields.family, buffer(2, 1))
    local flags_tree = tree:add(fields.flags, buffer(3, 1))
    flags_tree:add(fields.checked, buffer(3, 1))
    flags_tree:add(fields.complete, buffer(3, 1))
    flags_tree:add(fields.rare_only, buffer(3, 1))
    flags_tree:add(fields.wants_metadata, buffer(3, 1))
    tree:add(fields.length, buffer(4, 4))
    tree:add(fields.transfer_id, buffer(8, 8))
    local pieces = kind == TELL or (kind == ASK and not has_flag(flags, 0x08))
    tree:add(pieces and fields.first_piece or fields.offset, buffer(16, 8))
    tree:add(fields.sequence, buffer(24, 4))
    tree:add(fields.check, buffer(28, 4))
end

-- What is wrong with the datagram, as far as sizes and types go; nil if nothing is.

local function fault(buffer, kind)
    local size, sizes = buffer:len(), SIZES[kind]
    if not sizes then return string.format("type 0x%02x is unknown", kind) end
    if size < sizes[1] or size > sizes[2] then return "a body of the wrong size" end
    if kind ~= REQUEST and buffer(4, 4):uint() ~= size - HEADER_SIZE then
        return "a length that differs from the body"
    end
    if kind == REFUSE and not REASONS[buffer(32, 1):uint()] then return "an unknown reason" end
    return nil
end

local function add_check(buffer, tree, kind, flags)
    local body = (kind ~= DATA or has_flag(flags, CHECKED)) and buffer:len() > HEADER_SIZE
    local covered = body and buffer:raw(HEADER_SIZE, buffer:len() - HEADER_SIZE) or ""
    local right = crc32(buffer:raw(0, 28), covered) == buffer(28, 4):uint()
    local item = tree:add(fields.check_status, buffer(28, 4), right and 1 or 0)
    item:set_generated()
    if not right then item:add_proto_expert_info(wrong_check) end
end

function swarm.dissector(buffer, packet, root)
    if buffer:len() < HEADER_SIZE or buffer(0, 1):uint() ~= MAGIC or buffer(1, 1):uint() ~= VERSION then return 0 end
    local kind, flags = buffer(2, 1):uint(), buffer(3, 1):uint()
    packet.cols.protocol = "SWARM"
    local tree = root:add(swarm, buffer())
    add_header(buffer, tree, kind, flags)
    local name = TYPES[kind] or string.format("0x%02x", kind)
    local text = string.format("%s %.0f", name, buffer(24, 4):uint())
    local wrong = fault(buffer, kind)
    if buffer:reported_len() > buffer:len() then
        text = text .. " (the capture has only a part of it)"
    elseif wrong then
        tree:add_proto_expert_info(malformed, wrong)
        text = text .. ": " .. wrong
    else
        text = text .. BODIES[kind](buffer, tree, flags)
        if swarm.prefs.check then add_check(buffer, tree, kind, flags) end
    end
    tree:append_text(", " .. text)
    packet.cols.info = text
    return buffer:len()
end

local function heuristic(buffer, packet, root)
    return swarm.dissector(buffer, packet, root) > 0
end

swarm:register_heuristic("udp", heuristic)

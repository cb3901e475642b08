//! The events of a stream (text/event-stream), as far as the gateway has to know them.

const std = @import("std");
const search = @import("search.zig");

/// How much of the text are whole events: what is up to the last blank line.
pub fn whole(text: []const u8) usize {
    var at = text.len;
    while (at > 1) : (at -= 1) {
        if (isBlankLine(text[at - 2], text[at - 1])) {
            // Its second half may be of two characters.
            return if (text[at - 1] == '\r' and at < text.len and text[at] == '\n') at + 1 else at;
        }
    }
    return 0;
}

/// Lines end with "\r", "\n" or both of them; two ends are a blank line.
fn isBlankLine(one: u8, next: u8) bool {
    return (one == '\n' or one == '\r') and (next == '\n' or (next == '\r')) and !(one == '\r' and next == '\n');
}

/// Whether the last line is that of the event which ends a stream.
pub fn isDone(text: []const u8) bool {
    const lines = std.mem.trimEnd(u8, text, "\r\n");
    const start = if (std.mem.lastIndexOfAny(u8, lines, "\r\n")) |end| end + 1 else 0;
    return std.mem.eql(u8, lines[start..], "data: [DONE]") or std.mem.eql(u8, lines[start..], "data:[DONE]");
}

/// Whether one of the events may be about usage alone.
pub fn mayTellUsage(text: []const u8) bool {
    var at: usize = 0;
    while (search.pairOf("\"c", text, at)) |found| : (at = found + 2) {
        if (hasNoChoices(text[found..])) return true;
    }
    return false;
}

/// Leave out events that are about usage alone: many programs read the first choice of every event.
///
/// Args: text: whole events, and maybe what is not yet one. Returns: what is left, moved to the front.
pub fn withoutUsage(text: []u8) []u8 {
    var length: usize = 0;
    var start: usize = 0;
    while (start < text.len) {
        const end = start + (first(text[start..]) orelse text.len - start);
        const event = text[start..end];
        if (!isUsage(event)) {
            std.mem.copyForwards(u8, text[length..], event);
            length += event.len;
        }
        start = end;
    }
    return text[0..length];
}

/// The length of the first event; null if it is not whole.
pub fn first(text: []const u8) ?usize {
    var at: usize = 0;
    while (search.anyOf("\r\n", text, at)) |found| : (at = found + 1) {
        if (found + 1 == text.len) return null;
        if (!isBlankLine(text[found], text[found + 1])) continue;
        const end = found + 2;
        return if (text[end - 1] == '\r' and end < text.len and text[end] == '\n') end + 1 else end;
    }
    return null;
}

fn isUsage(event: []const u8) bool {
    if (!mayTellUsage(event)) return false;
    var at: usize = 0;
    while (search.pairOf("\"u", event, at)) |found| : (at = found + 2) {
        if (valueAfter("\"usage\"", event[found..])) |value| if (value.len > 0 and value[0] == '{') return true;
    }
    return false;
}

fn hasNoChoices(text: []const u8) bool {
    const value = valueAfter("\"choices\"", text) orelse return false;
    if (value.len == 0 or value[0] != '[') return false;
    const end = search.afterBlanks(value, 1);
    return end < value.len and value[end] == ']';
}

/// What comes after the key and its colon; null if the text does not begin with them.
fn valueAfter(key: []const u8, text: []const u8) ?[]const u8 {
    if (!std.mem.startsWith(u8, text, key)) return null;
    const colon = search.afterBlanks(text, key.len);
    if (colon == text.len or text[colon] != ':') return null;
    return text[search.afterBlanks(text, colon + 1)..];
}

test "events end with a blank line, whatever ends their lines" {
    try std.testing.expectEqual(0, whole(""));
    try std.testing.expectEqual(0, whole("data: 1\n"));
    try std.testing.expectEqual(0, whole("data: 1\r\n"));
    try std.testing.expectEqual(9, whole("data: 1\n\nda"));
    try std.testing.expectEqual(11, whole("data: 1\r\n\r\nda"));
    try std.testing.expectEqual(9, whole("data: 1\r\rda"));
    try std.testing.expectEqual(18, whole("data: 1\n\ndata: 2\n\n"));
    try std.testing.expectEqual(9, first("data: 1\n\ndata: 2\n\n"));
    try std.testing.expectEqual(11, first("data: 1\r\n\r\ndata: 2"));
    try std.testing.expectEqual(null, first("data: 1\r\n"));
}

test "the end of a stream" {
    try std.testing.expect(isDone("data: 1\n\ndata: [DONE]\n\n"));
    try std.testing.expect(isDone("data:[DONE]\r\n\r\n"));
    try std.testing.expect(!isDone("data: [DONE]\n\ndata: 1\n\n"));
    try std.testing.expect(!isDone("\n\n"));
    try std.testing.expect(!isDone(""));
    try std.testing.expect(!isDone("data: {\"text\":\"data: [DONE]"));
}

fn expectWithout(wanted: []const u8, text: []const u8) !void {
    var copy: [400]u8 = undefined;
    @memcpy(copy[0..text.len], text);
    try std.testing.expectEqualStrings(wanted, withoutUsage(copy[0..text.len]));
    try std.testing.expectEqual(wanted.len != text.len, mayTellUsage(text));
}

test "events about usage alone are left out, others not" {
    const usage = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3}}\n\n";
    const spaced = "data: { \"usage\" : {}, \"choices\" : [ ] }\r\n\r\n";
    const text = "data: {\"choices\":[{\"text\":\"\\\"choices\\\":[]\"}],\"usage\":{}}\n\n";
    try expectWithout(text ++ "data: [DONE]\n\n", usage ++ text ++ spaced ++ "data: [DONE]\n\n" ++ usage);
    try expectWithout(text, text);
    try expectWithout("", usage);
    try expectWithout("", "");
}

test "an event without choices and without usage stays" {
    var copy = "data: {\"choices\":[],\"usage\":null}\n\n".*;
    try std.testing.expectEqualStrings(&copy, withoutUsage(&copy));
}

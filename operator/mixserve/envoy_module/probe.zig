//! The parts that read strangers' bytes, for tests in other languages; no part of what Envoy loads.

const std = @import("std");
const events = @import("events.zig");
const request_body = @import("request_body.zig");
const usage = @import("usage.zig");

pub const panic = std.debug.simple_panic;

const gpa = std.heap.smp_allocator;

/// Feed the pieces, whose lengths are given, to a reader.
fn feed(reader: anytype, bytes: []const u8, lengths: []const usize) void {
    var start: usize = 0;
    for (lengths) |length| {
        // In memory of its own, so that a look beyond the end is noticed.
        const piece = gpa.dupe(u8, bytes[start..][0..length]) catch unreachable;
        defer gpa.free(piece);
        reader.feed(piece);
        start += length;
    }
}

/// What a request's body is, 0: broken, 1: nameless, 2: named; into `name` its model, of at most 256 bytes.
export fn read_request(bytes: [*]const u8, lengths: [*]const usize, count: usize, name: *[request_body.longest_name]u8, name_length: *usize, wants_usage: *bool) c_int {
    var scanner: request_body.Scanner = .{};
    feed(&scanner, bytes[0..total(lengths[0..count])], lengths[0..count]);
    name_length.* = scanner.model(name).len;
    wants_usage.* = scanner.wants_usage;
    return @backingInt(scanner.kind());
}

/// Into `found` an answer's last usage, of at most 2048 bytes; returns its length.
export fn read_usage(bytes: [*]const u8, lengths: [*]const usize, count: usize, found: *[usage.longest]u8) usize {
    var finder: usage.Finder = .{};
    feed(&finder, bytes[0..total(lengths[0..count])], lengths[0..count]);
    const last = finder.last();
    @memcpy(found[0..last.len], last);
    return last.len;
}

/// How much of the text are whole events.
export fn whole_events(bytes: [*]const u8, length: usize) usize {
    return events.whole(bytes[0..length]);
}

/// Leave out events about usage alone, in place; returns what is left.
export fn without_usage(bytes: [*]u8, length: usize) usize {
    return events.withoutUsage(bytes[0..length]).len;
}

fn total(lengths: []const usize) usize {
    var sum: usize = 0;
    for (lengths) |length| sum += length;
    return sum;
}

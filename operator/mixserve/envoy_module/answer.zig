//! The answer's way: the tokens that it used are kept for the request log, an event about usage alone is left out for
//! clients that have not asked for it, and a stream whose engine fails ends with an event that says so.

const std = @import("std");
const abi = @import("abi.zig");
const events = @import("events.zig");
const streams = @import("streams.zig");
const usage = @import("usage.zig");

const gpa = std.heap.smp_allocator;

/// An event that is longer is passed on before it is whole.
const longest_event = 1 << 20;

pub const Answer = struct {
    usage: usage.Finder = .{},
    /// Whether it is looked at: it is no error.
    is_counted: bool = false,
    /// Whether it is looked at event by event: no client gets half of one that is then broken off.
    is_split: bool = false,
    /// Whether events about usage alone are left out.
    drops_usage: bool = false,
    /// What has come of an event that is not whole yet.
    held: std.ArrayList(u8) = .empty,
    /// Whether the client has had half an event.
    is_half_told: bool = false,
    /// Whether the event has come that ends a stream.
    is_done: bool = false,
    /// Whether the engine failed before the end.
    is_broken: bool = false,
    /// That this stream is known by, as long as it may break off; 0: none.
    connection: u64 = 0,

    /// Headers have come; `is_end`: and nothing comes after them.
    pub fn begin(self: *Answer, stream: *abi.Stream, wants_usage: bool, is_end: bool) void {
        if (is_end or !std.mem.eql(u8, abi.header(stream, .response, ":status"), "200")) return;
        // Nothing can be read of what is compressed.
        const encoding = abi.header(stream, .response, "content-encoding");
        if (encoding.len > 0 and !std.ascii.eqlIgnoreCase(encoding, "identity")) return;
        self.is_counted = true;
        const kind = abi.header(stream, .response, "content-type");
        self.is_split = std.ascii.startsWithIgnoreCase(kind, "text/event-stream");
        self.drops_usage = !wants_usage;
        if (!self.is_split) return;
        // An answer of neither kind ends with its connection, so that says nothing of a failure.
        const is_chunked = abi.header(stream, .response, "transfer-encoding").len > 0;
        if (!is_chunked and abi.header(stream, .response, "content-length").len == 0) return;
        self.leave();
        self.connection = abi.connectionOf(stream);
        if (self.connection != 0) streams.add(self.connection, stream);
        // It may get shorter or longer.
        if (!is_chunked) abi.removeHeader(stream, .response, "content-length");
    }

    /// A piece has come; it goes on, as it is or changed.
    pub fn pass(self: *Answer, stream: *abi.Stream, is_end: bool) void {
        if (!self.is_counted or self.is_broken) return;
        if (is_end) self.leave();
        var room: [16]abi.Bytes = undefined;
        const pieces = abi.pieces(stream, .received_response, &room, gpa);
        defer abi.freePieces(pieces, &room, gpa);
        for (pieces) |piece| self.usage.feed(piece.slice());
        if (self.is_split) self.split(stream, pieces, is_end);
    }

    fn split(self: *Answer, stream: *abi.Stream, pieces: []const abi.Bytes, is_end: bool) void {
        if (!self.is_half_told and self.held.items.len == 0 and pieces.len == 1) {
            const text = pieces[0].slice();
            if (events.whole(text) == text.len and !(self.drops_usage and events.mayTellUsage(text))) {
                self.is_done = self.is_done or events.isDone(text);
                return;
            }
        }
        var length: usize = 0;
        for (pieces) |piece| {
            self.held.appendSlice(gpa, piece.slice()) catch abi.outOfMemory();
            length += piece.length;
        }
        self.tell(stream, length, is_end);
    }

    /// Put what is whole of the events in place of what has come.
    fn tell(self: *Answer, stream: *abi.Stream, length: usize, is_end: bool) void {
        const held = self.held.items;
        // First the rest of an event of which the client has had the beginning.
        const found = if (self.is_half_told) events.first(held) else 0;
        self.is_half_told = found == null;
        const rest = found orelse held.len;
        var end = if (is_end) held.len else rest + events.whole(held[rest..]);
        if (held.len - end > longest_event) {
            end = held.len;
            self.is_half_told = true;
        }
        self.is_done = self.is_done or events.isDone(held[0..end]);
        const others = held[rest..end];
        const kept = if (self.drops_usage) events.withoutUsage(others) else others;
        abi.replaceBody(stream, .received_response, length, held[0 .. rest + kept.len]);
        std.mem.copyForwards(u8, held, held[end..]);
        self.held.shrinkRetainingCapacity(held.len - end);
    }

    /// The engine has failed: end the stream, in an event of its own if it is not complete. The stream, and this with
    /// it, is gone when it returns.
    pub fn breakOff(self: *Answer, stream: *abi.Stream, error_event: []const u8) void {
        if (self.connection == 0) return;
        self.leave();
        self.is_broken = true;
        // The blank line after the last event may be all that is missing.
        const is_all_but_done = !self.is_done and events.isDone(self.held.items);
        const last = if (self.is_done or is_all_but_done) "" else error_event;
        if (is_all_but_done) abi.sendMore(stream, self.held.items, false);
        if (self.is_half_told or is_all_but_done) abi.sendMore(stream, "\n\n", false);
        abi.sendMore(stream, last, true);
    }

    /// From now on nothing can break off.
    pub fn leave(self: *Answer) void {
        if (self.connection != 0) streams.remove(self.connection);
        self.connection = 0;
    }

    pub fn free(self: *Answer) void {
        self.leave();
        self.held.deinit(gpa);
    }
};

//! Which stream an engine's connection answers at the moment, of those that must not just break off.
//!
//! A connection and its stream belong to one thread of Envoy, so each thread has its own.

const std = @import("std");
const abi = @import("abi.zig");

/// Of the kind that keeps no trace of what was removed: connections' numbers never come again.
threadlocal var by_connection: std.array_hash_map.Auto(u64, *abi.Stream) = .empty;

const gpa = std.heap.smp_allocator;

pub fn add(connection: u64, stream: *abi.Stream) void {
    by_connection.put(gpa, connection, stream) catch abi.outOfMemory();
}

pub fn remove(connection: u64) void {
    _ = by_connection.swapRemove(connection);
}

pub fn of(connection: u64) ?*abi.Stream {
    return by_connection.get(connection);
}

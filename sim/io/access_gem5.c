/* SPDX-License-Identifier: MIT
 *
 * access_gem5.c - the packet traces of gem5's CommMonitor (MemTraceProbe), and the door to protobuf-c.
 *
 * The four bytes "gem5", then messages (gem5_packet.proto), each with its length as a varint in front: one PacketHeader, then
 * Packets. gem5 packs them with gzip. Checked against src/proto/packet.proto, src/proto/protoio.cc, src/mem/packet.hh,
 * src/mem/request.hh, src/mem/probes/mem_trace.cc and util/encode_packet_trace.py, decode_packet_trace.py of gem5 19.0 to 24.0.
 *
 * A packet's command is MemCmd::Command, whose numbers moved: 20.1 put a command behind 5, 22.0 four behind 29. The file does not
 * tell its version. Commands up to StoreCondResp (29) are the same since 20.1. Behind them two numbers mean two things, which the
 * request's flags tell apart (their bits are the same in 19.0 to 24.0, and the probe writes them with every packet):
 *
 *     30   LockedRMWReadReq since 22.0, a load, with LOCKED_RMW         SwapReq before, with MEM_SWAP... or ATOMIC...
 *     34   SwapReq since 22.0, with MEM_SWAP... or ATOMIC...            MemFenceReq before, with none of them
 *
 * A swap, or another atomic, is a load-store. 32 is LockedRMWWriteReq and nothing before 22.0. The others carry no access of a
 * program: evictions, write-backs, upgrades, prefetches, fences, cleaning, transactions, errors and responses. They are left out.
 * Before 20.1 WriteLineReq to SwapReq were one less: such a trace is refused where a swap shows it, but else read as its
 * neighbours. ReadReq (1) and WriteReq (4) are the same in every version. A read whose request has INST_FETCH is a fetch.
 * Addresses are what the monitored port has: physical ones, as a rule.
 */
#include "sim/io/access_text.h"

#include "gem5_packet.pb-c.h"

#include <string.h>

#define MAGIC "gem5"
#define MAGIC_BYTES 4u
/* A packet has some 60 bytes; a header names every requestor of the machine. */
#define PACKET_BYTES_MAX 4096u
#define HEADER_BYTES_MAX 65536u
#define VARINT_BYTES_MAX 5u

/* Flags of a request (src/mem/request.hh). A swap has one of the last four. */
#define INST_FETCH 0x00000100u
#define LOCKED_RMW 0x00100000u
#define MEM_SWAP 0x00400000u
#define MEM_SWAP_COND 0x00800000u
#define ATOMIC_RETURN_OP 0x40000000u
#define ATOMIC_NO_RETURN_OP 0x80000000u
#define SWAPS (MEM_SWAP | MEM_SWAP_COND | ATOMIC_RETURN_OP | ATOMIC_NO_RETURN_OP)

/* Commands that are the same since 20.1. */
enum {
	READ_REQ = 1,
	WRITE_REQ = 4,
	WRITE_LINE_REQ = 16,
	READ_EX_REQ = 22,
	READ_CLEAN_REQ = 24,
	READ_SHARED_REQ = 25,
	LOAD_LOCKED_REQ = 26,
	STORE_COND_REQ = 27,
	STORE_COND_RESP = 29, /* SwapReq before 20.1 */
	LOCKED_READ_OR_SWAP_REQ = 30,
	LOCKED_RMW_WRITE_REQ = 32,
	SWAP_OR_FENCE_REQ = 34,
	COMMANDS = 60 /* NUM_MEM_CMDS of 24.0, which has the most */
};

/*
 * Memory for one message at a time, so that unpacking allocates nothing. A header's entry of 12 bytes and more takes less than 16
 * times its bytes (protobuf-c keeps a place in its scan, a field and a copy of it).
 */
#define ARENA_BYTES (16 * HEADER_BYTES_MAX)

struct gem5 {
	bool has_header;
	size_t used;
	_Alignas(16) unsigned char arena[ARENA_BYTES];
};

static void *arena_alloc(void *memory, size_t size)
{
	struct gem5 *state = memory;
	size_t wanted = (size + 15) & ~(size_t)15;
	if (size > sizeof state->arena || wanted > sizeof state->arena - state->used)
		return NULL;
	void *at = state->arena + state->used;
	state->used += wanted;
	return at;
}

static void arena_free(void *memory, void *at)
{
	(void)memory;
	(void)at;
}

static bool gem5_begins(const unsigned char *bytes, size_t length, bool whole)
{
	(void)whole;
	return length >= MAGIC_BYTES && memcmp(bytes, MAGIC, MAGIC_BYTES) == 0;
}

/* The length in front of a message; *bytes 0: it is not whole. */
static size_t message_length(const struct access_input *input, size_t *bytes)
{
	uint64_t length = 0;
	*bytes = 0;
	for (unsigned i = 0; i < VARINT_BYTES_MAX && input->at + i < input->end; i++) {
		length |= (uint64_t)(input->at[i] & 0x7f) << 7 * i;
		if (input->at[i] < 0x80) {
			*bytes = i + 1;
			return (size_t)length;
		}
	}
	return 0;
}

/* Brings the next message into the buffer: [at, at + *length). *length 0 with true: the end. */
static bool next_message(struct access_reader *reader, size_t limit, size_t *length, struct error *error)
{
	struct access_input *input = &reader->input;
	size_t prefix;
	*length = 0;
	if (input->end - input->at < (ptrdiff_t)(VARINT_BYTES_MAX + PACKET_BYTES_MAX) &&
	    !input_bytes(input, VARINT_BYTES_MAX + limit, error))
		return false;
	if (input->at == input->end)
		return true;
	*length = message_length(input, &prefix);
	if (prefix == 0 || *length == 0 || *length > limit)
		return access_wrong_at(reader, input_offset(input), error,
		                       "found a message of length %zu, expected 1 to %zu (gem5)", *length, limit);
	if (prefix + *length > (size_t)(input->end - input->at))
		return access_wrong_at(reader, input_offset(input), error,
		                       "found a message of %zu bytes of which %zu are there: the file was cut", *length,
		                       (size_t)(input->end - input->at) - prefix);
	input->at += prefix;
	return true;
}

static bool read_header(struct access_reader *reader, ProtobufCAllocator *allocator, struct error *error)
{
	struct access_input *input = &reader->input;
	struct gem5 *state = reader->state;
	size_t length;
	if (!input_bytes(input, MAGIC_BYTES, error))
		return false;
	if (!gem5_begins(input->at, (size_t)(input->end - input->at), true))
		return access_wrong_at(reader, input_offset(input), error, "expected the bytes \"gem5\"");
	input->at += MAGIC_BYTES;
	if (!next_message(reader, HEADER_BYTES_MAX, &length, error))
		return false;
	Gem5__PacketHeader *header = length ? gem5__packet_header__unpack(allocator, length, input->at) : NULL;
	if (!header)
		return access_wrong_at(reader, input_offset(input), error, "expected a message PacketHeader");
	input->at += length;
	state->has_header = true;
	return true;
}

enum meaning { IS_ACCESS, IS_NONE, IS_OF_OTHER_VERSION };

static enum meaning is(enum access_kind *kind, enum access_kind of)
{
	*kind = of;
	return IS_ACCESS;
}

static enum meaning kind_of(const Gem5__Packet *packet, enum access_kind *kind)
{
	const bool swaps = packet->flags & SWAPS;
	switch (packet->cmd) {
	case READ_REQ:
	case READ_EX_REQ:
	case READ_CLEAN_REQ:
	case READ_SHARED_REQ:
	case LOAD_LOCKED_REQ:
		return is(kind, packet->flags & INST_FETCH ? ACCESS_CODE : ACCESS_LOAD);
	case WRITE_REQ:
	case WRITE_LINE_REQ:
	case STORE_COND_REQ:
		return is(kind, ACCESS_STORE);
	case STORE_COND_RESP:
		return swaps ? IS_OF_OTHER_VERSION : IS_NONE;
	case LOCKED_READ_OR_SWAP_REQ:
		return swaps ? is(kind, ACCESS_MODIFY) : packet->flags & LOCKED_RMW ? is(kind, ACCESS_LOAD) : IS_OF_OTHER_VERSION;
	case LOCKED_RMW_WRITE_REQ:
		return packet->flags & LOCKED_RMW ? is(kind, ACCESS_STORE) : IS_OF_OTHER_VERSION;
	case SWAP_OR_FENCE_REQ:
		return swaps ? is(kind, ACCESS_MODIFY) : IS_NONE;
	default:
		return packet->cmd < COMMANDS ? IS_NONE : IS_OF_OTHER_VERSION;
	}
}

static bool take_packet(struct access_reader *reader, const Gem5__Packet *packet, struct access *access, size_t *count,
                        struct error *error)
{
	const char *problem;
	enum access_kind kind;
	enum meaning meaning = kind_of(packet, &kind);
	if (meaning == IS_OF_OTHER_VERSION)
		return access_wrong_at(reader, input_offset(&reader->input), error,
		                       "found command %u with flags 0x%x, expected one of gem5 20.1 to 24.0", packet->cmd,
		                       packet->flags);
	if (meaning == IS_NONE)
		return true;
	if (!access_is_possible(packet->addr, packet->size, &problem))
		return access_wrong_at(reader, input_offset(&reader->input), error, "a packet of %u bytes at 0x%llx: %s",
		                       packet->size, (unsigned long long)packet->addr, problem);
	*access = (struct access){.address = packet->addr, .bytes = packet->size, .kind = (uint8_t)kind};
	++*count;
	return true;
}

static bool read_packet(struct access_reader *reader, ProtobufCAllocator *allocator, struct access *access, size_t *count,
                        bool *more, struct error *error)
{
	struct gem5 *state = reader->state;
	size_t length;
	if (!next_message(reader, PACKET_BYTES_MAX, &length, error))
		return false;
	*more = length > 0;
	if (!*more)
		return true;
	state->used = 0;
	const Gem5__Packet *packet = gem5__packet__unpack(allocator, length, reader->input.at);
	if (!packet)
		return access_wrong_at(reader, input_offset(&reader->input), error,
		                       "expected a message Packet with tick, cmd, addr, size");
	if (!take_packet(reader, packet, access, count, error))
		return false;
	reader->input.at += length;
	return true;
}

static bool gem5_read(struct access_reader *reader, struct access *batch, size_t capacity, size_t *count, struct error *error)
{
	struct gem5 *state = reader->state;
	ProtobufCAllocator allocator = {arena_alloc, arena_free, state};
	bool more = true;
	*count = 0;
	if (!state->has_header && !read_header(reader, &allocator, error))
		return false;
	while (more && *count < capacity)
		if (!read_packet(reader, &allocator, &batch[*count], count, &more, error))
			return false;
	return true;
}

const struct access_format access_format_gem5 = {
        .name = "gem5",
        .help = "gem5's packet trace (CommMonitor, MemTraceProbe), protobuf",
        .endings = ".ptrc .trc",
        .expected = "\"gem5\" and protobuf messages",
        .state_bytes = sizeof(struct gem5),
        .begins = gem5_begins,
        .read = gem5_read,
};

//! Every number that bounds something, with its unit in the name and the reason beside it.
//!
//! Used by all rooms; uses none. A bound that a user can set has its default here, too.

/// Most events that one drain hands to JavaScript, so that timers and other I/O of the process get
/// their turn between two drains.
pub const DRAIN_EVENTS: usize = 1_000;

/// Most payload bytes that one drain copies into JavaScript's slab. Larger slabs fall out of the
/// second-level cache between the copy and the handler.
pub const DRAIN_PAYLOAD_BYTES: usize = 256 * 1024;

/// A message longer than this crosses on its own, not inside a batch: one copy into its own
/// `ArrayBuffer` is cheaper than a slab that it would fill alone.
pub const LARGE_MESSAGE_BYTES: usize = 64 * 1024;

/// Bytes of events that may wait for a busy JavaScript thread, for each reactor. Above it the
/// reactor leaves messages in the kernel, so that TCP pushes back on the peers.
pub const INTAKE_BYTES: usize = 64 * 1024 * 1024;

/// Bytes that parked connections may hold in all, for each reactor, while the intake is full: what
/// was already read when the bound was reached, and the events of pings and pongs that came since.
/// Above it nothing at all is read.
pub const PARKED_BYTES: usize = 16 * 1024 * 1024;

/// The budget of an App's buffers is one part in so many of the memory that the process may have: Node.js and the
/// application want the rest, and each byte that crosses is there twice for a moment.
pub const BUDGET_MEMORY_PART: u64 = 4;

/// Smallest `memoryBudget`: a few reads and what they are answered with.
pub const BUDGET_MIN_BYTES: u64 = 1024 * 1024;

/// Largest `memoryBudget`: JavaScript's numbers count it exactly.
pub const BUDGET_MAX_BYTES: u64 = 9_007_199_254_740_991;

/// From this part of the budget on, nothing more is read from peers.
pub const BUDGET_READING_PERCENT: usize = 95;

/// From this part on, nothing is accepted, and what was read is not parked.
pub const BUDGET_ACCEPTING_PERCENT: usize = 98;

/// Below this part reading goes on. Far enough from where it stopped that it does not stop again at once.
pub const BUDGET_RESUMING_PERCENT: usize = 90;

/// Once connections are closed, it goes on down to this part: so much room is made that reading does not stop again
/// at once, and the next ones have to be closed. [`BUDGET_LIGHT_PART`] says for whom it does not.
pub const BUDGET_CLOSING_PERCENT: usize = 75;

/// When reading has been stopped for so long, connections are closed even though what is held becomes less: a few that read
/// a little now and then would keep all others waiting. Less than what most clients wait for an answer.
pub const BUDGET_STOPPED_SECONDS: u32 = 16;

/// Where reading goes on, nobody is closed who has less than one part in so many of what the heaviest of those had
/// that were closed before: small ones do not pay for many that are large.
pub const BUDGET_LIGHT_PART: usize = 2;

/// A change of less than one part in so many of the budget is not told to other threads. All threads' together are
/// still little of it.
pub const BUDGET_GRAIN_PART: usize = 1_024;

/// But one of so many bytes is.
pub const BUDGET_GRAIN_MAX_BYTES: usize = 64 * 1024;

/// Connections that one turn closes for the budget: as many as a shutdown closes.
pub const BUDGET_STEP: usize = 256;

/// Bytes of pongs that one read is answered with; behind them the latest ping alone is. A peer that
/// sends pings and reads nothing costs no more than this.
pub const PONG_BYTES: usize = 64 * 1024;

/// Bytes of commands that may wait for a reactor. JavaScript waits inside `flush` above it: the
/// reactor takes commands even when its own intake is full, so the wait always ends.
pub const COMMAND_BACKLOG_BYTES: usize = 16 * 1024 * 1024;

/// The reactor's one shared read buffer.
pub const READ_BUFFER_BYTES: usize = 512 * 1024;

/// Memory that must be to be had when a reactor is started: for its read buffer, the stack of its thread (2 MiB), and for
/// what it and JavaScript take meanwhile. An allocation that fails ends the process; that it would is an error which can
/// be caught.
pub const START_BYTES: usize = 16 * READ_BUFFER_BYTES;

/// Reactor threads of one App: six bits of a connection's id.
pub const REACTORS: usize = 64;

/// Connections of one reactor: 24 bits of a connection's id.
pub const CONNECTIONS_PER_REACTOR: usize = 1 << 24;

/// Topics of one App that have subscribers at one time: as many as a `Map` of V8 holds.
pub const TOPICS: usize = 1 << 24;

/// Commands that are sorted by connection at a time, beyond those that JavaScript wrote: messages that are
/// published to one topic in a row are one for each subscriber. Above it what is sorted is carried out first: at most 6 MiB,
/// and a connection that gets so many messages in one turn gets them by some writes instead of one.
pub const AGENDA_LINKS: usize = 256 * 1024;

/// Published messages that are kept as volleys at a time; above it what is sorted is carried out first, as above. No more
/// than 6 MiB, though topics take turns at every message. It is gone again before the turn tells the memory budget what
/// is held, so to count it there would bound nothing.
pub const VOLLEY_MESSAGES: usize = 64 * 1024;

/// Routes of one App: a slot keeps a route's id in 16 bits.
pub const ROUTES: usize = 1 << 16;

/// One step of the idle clock, as in uWebSockets.js.
pub const TICK_SECONDS: u32 = 4;

/// `idleTimeout` unless it is given, as in uWebSockets.js.
pub const IDLE_TIMEOUT_SECONDS: u32 = 120;

/// Connections that one turn pings or closes because of the clock. Each costs a system call or an
/// event; some hundreds of them take about a millisecond.
pub const SWEEP_STEP: usize = 256;

/// Smallest `idleTimeout`: two ticks, one for the ping and one for its answer.
pub const IDLE_TIMEOUT_MIN_SECONDS: u32 = 8;

/// Largest `idleTimeout`: 240 ticks, so that a deadline fits one byte.
pub const IDLE_TIMEOUT_MAX_SECONDS: u32 = 960;

/// Largest `maxLifetime`, as in uWebSockets.js.
pub const LIFETIME_MAX_MINUTES: u32 = 239;

/// How long a closing connection may take: for JavaScript to take its close event, and again for
/// the peer's FIN after ours. Counted in ticks of the sweep, so up to one tick longer.
pub const CLOSING_SECONDS: u32 = 4;

/// Connections that one turn closes for a shutdown, each at the cost of an event: some hundreds take less
/// than a tenth of a millisecond. What follows for them is paced by the batches that JavaScript takes.
pub const SHUTDOWN_STEP: usize = 256;

/// `timeout` of a shutdown unless it is given: what supervisors kill after 10 s has ended by then.
pub const SHUTDOWN_SECONDS: u32 = 8;

/// Largest `timeout` of a shutdown: a client that reads slower than this is not worth waiting for.
pub const SHUTDOWN_MAX_SECONDS: u32 = 3_600;

/// Payload of a control frame (RFC 6455 §5.5).
pub const CONTROL_PAYLOAD_BYTES: usize = 125;

/// Longest reason of a close frame: a control frame's payload less the status code (RFC 6455 §5.5.1).
pub const CLOSE_REASON_BYTES: usize = CONTROL_PAYLOAD_BYTES - 2;

/// Longest message unless `maxPayloadLength` says otherwise, as in uWebSockets.js.
pub const PAYLOAD_BYTES: usize = 16 * 1024;

/// A compressed message may be longer than `maxPayloadLength` by one part in so many of it, since
/// what cannot be compressed grows: a byte takes at most 9 bits in DEFLATE's fixed code (RFC 1951 §3.2.6).
pub const DEFLATE_GROWTH_PART: usize = 8;

/// And by so many bytes: heads of blocks, and padding.
pub const DEFLATE_GROWTH_BYTES: usize = 64;

/// A message shorter than this is not compressed by a compressor that keeps no context: it would
/// hardly shrink.
pub const DEFLATE_MIN_BYTES: usize = 32;

/// Blocks marked as the last that one compressed message may have with more behind them (RFC 7692
/// §7.2.3.5). Two bytes make one, and each costs the copies of two windows, 3 to 7 µs: as much as to decompress
/// 10 KiB. A client has no use for more than one behind each of a few fragments.
pub const DEFLATE_LAST_BLOCKS: usize = 8;

/// Largest `maxPayloadLength`: lengths cross to JavaScript as 32-bit integers, and stay positive as
/// signed ones.
pub const PAYLOAD_MAX_BYTES: usize = 2_147_483_647;

/// Fragments of one message unless `maxFragments` says otherwise; empty ones count. Autobahn's
/// largest cases send 65,536.
pub const FRAGMENTS: u32 = 131_072;

/// Largest `maxFragments`: the count is kept in 32 bits, and stays positive as a signed one.
pub const FRAGMENTS_MAX: u32 = 2_147_483_647;

/// Bytes that may wait for a slow peer unless `maxBackpressure` says otherwise, as in uWebSockets.js.
pub const BACKPRESSURE_BYTES: usize = 64 * 1024;

/// Largest `maxBackpressure`, as for the payload; beyond it, 0 says what is meant: unlimited.
pub const BACKPRESSURE_MAX_BYTES: usize = 2_147_483_647;

/// Bytes of a request's head: request line and header fields.
pub const REQUEST_HEAD_BYTES: usize = 16 * 1024;

/// Longest head, as text, of a request that JavaScript answers, where `UWS_HTTP_MAX_HEADERS_SIZE` allows
/// so long ones at all: its event has to fit a drain.
pub const ASKED_HEAD_BYTES: usize = 128 * 1024;

/// Header lines of a request.
pub const REQUEST_HEADER_LINES: usize = 100;

/// Header lines of a response: what `http` keeps them in holds 24,576 of different names, and takes no more.
pub const RESPONSE_HEADER_LINES: usize = 16 * 1024;

/// A whole request head must have come within this time, counted from the first byte awaited,
/// however the bytes are spread. Of an opening handshake: from `accept` to the 101.
pub const REQUEST_HEAD_SECONDS: u64 = 10;

/// Largest `Content-Length` of a request: JavaScript's numbers count it exactly.
pub const CONTENT_LENGTH_MAX_BYTES: u64 = (1 << 53) - 1;

/// Content of a request must come at so many bytes for each [`REQUEST_HEAD_SECONDS`] while it is read: 16 KiB
/// a second, as in uWebSockets.js.
pub const CONTENT_WINDOW_BYTES: u64 = 160 * 1024;

/// Content that nobody wants is thrown away up to so many bytes, so that the connection lives; beyond it, a
/// new connection costs less.
pub const CONTENT_DISCARD_BYTES: usize = 256 * 1024;

/// Content of a request that a declared response repeats: it is collected for each connection.
pub const DECLARED_CONTENT_BYTES: usize = 64 * 1024;

/// Of a response that JavaScript streams, little waits when it is no more than this. One write of hyper's takes
/// some ten KiB.
pub const RESPONSE_LOW_WATER_BYTES: usize = 64 * 1024;

/// Bytes of chunk extensions and of trailer fields in one request's content (RFC 9112 §7.1.1, §7.1.2):
/// nobody reads them here.
pub const CHUNK_EXTRA_BYTES: usize = 4 * 1024;

/// Bytes of addresses and additions in a head of the PROXY protocol: 216 are the longest addresses, and
/// proxies add some hundred of their own.
pub const PROXY_HEAD_BYTES: usize = 4 * 1024;

/// Smallest and largest bound of a head that `UWS_HTTP_MAX_HEADERS_SIZE` may set: a browser's opening
/// handshake has 500 bytes without cookies, and each connection at the gate may have as much as this.
pub const REQUEST_HEAD_MIN_BYTES: usize = 512;
/// See [`REQUEST_HEAD_MIN_BYTES`].
pub const REQUEST_HEAD_MAX_BYTES: usize = 1024 * 1024;

/// Connections of an App unless `maxConnections` says otherwise, where the system does not tell how many descriptors
/// a process may have. Elsewhere it is that number, less [`SPARE_DESCRIPTORS`].
pub const CONNECTIONS: usize = 65_536;

/// Descriptors that the default of `maxConnections` leaves to listeners, pollers, clients that are being turned away,
/// and the program's own files; or half of all, where that is less.
pub const SPARE_DESCRIPTORS: usize = 256;

/// Largest `maxConnections`: as many as all reactors have ids for.
pub const CONNECTIONS_MAX: usize = 1 << 30;

/// Largest `connectionsPerMinutePerAddress`: one each 60 µs, more than a core accepts.
pub const CONNECTIONS_PER_MINUTE_MAX: usize = 1_000_000;

/// Addresses without a connection whose rate is remembered, beside those that have one: some 6 MB. Who comes from
/// more addresses than this in two minutes is not held to the rate of each.
pub const ADDRESSES_REMEMBERED: usize = 65_536;

/// Networks of trusted proxies: each connection is compared with them.
pub const TRUSTED_NETWORKS: usize = 1_024;

/// When a client that was turned away should try again, where nothing says it better.
pub const RETRY_AFTER_SECONDS: u64 = 10;

/// Connections that were turned away and whose end is waited for, so that they can read why; beyond it they are closed
/// at once. Part of [`SPARE_DESCRIPTORS`].
pub const TURNED_AWAY_LINGERING: usize = 64;

/// How long that is: some round trips to the other side of the world.
pub const TURNED_AWAY_SECONDS: u64 = 2;

/// Connections at the gate: new ones wait in the kernel beyond it. Enough for 20,000 a second whose
/// handshakes take 0.8 s each; silent ones take some 40 MB then, and 300 MB those that have all sent most
/// of a head, for [`REQUEST_HEAD_SECONDS`] at most.
pub const HANDSHAKES: usize = 16_384;

/// Connections on their way to a child App: an acceptor passes it by beyond it. Its gate takes them in its
/// next turn, unless it has no room itself; then they wait here unread.
pub const PASSED_CONNECTIONS: usize = 1_024;

/// How soon the gate looks again whether JavaScript has made room: short against the time in which
/// JavaScript takes what fills [`INTAKE_BYTES`].
pub const INTAKE_LOOK_MILLISECONDS: u64 = 20;

/// Segments of a URL pattern: its tree is taken apart by recursion, one call for each segment.
pub const PATTERN_SEGMENTS: usize = 256;

/// Bytes that are read and thrown away behind a refusal, so that what the peer still sends does not
/// reset the connection before it has read the answer (RFC 9112 §9.6).
pub const LINGER_BYTES: usize = 64 * 1024;

/// Connections that the kernel may hold ready for `accept`; the kernel cuts it to `somaxconn`.
pub const LISTEN_BACKLOG: i32 = 65_535;

/// So long the kernel keeps a connection back whose peer says nothing, where it can. It counts repetitions of its
/// SYN-ACK, of which the first is sent after one second (RFC 6298 §2): no less is possible.
pub const DEFER_ACCEPT_SECONDS: i32 = 1;

/// First and longest pause after `accept` failed for want of descriptors or memory.
pub const ACCEPT_PAUSE_MIN_MILLISECONDS: u64 = 10;
/// See [`ACCEPT_PAUSE_MIN_MILLISECONDS`].
pub const ACCEPT_PAUSE_MAX_MILLISECONDS: u64 = 1_000;

/// Events and bytes that wait for JavaScript when connections that send more than one read takes have to wait: a
/// drain's worth lies ready while JavaScript handles the one before, and what others send is not behind more than that.
pub const AHEAD_EVENTS: usize = 128;
/// See [`AHEAD_EVENTS`].
pub const AHEAD_BYTES: usize = 1024 * 1024;
/// Connections whose peer has ended that a turn of a reactor looks at, behind those that live: together some 150
/// microseconds of closing sockets, when thousands are reset at once. The next follow when JavaScript has taken some
/// events, or none for [`AHEAD_MILLISECONDS`], and, if there are others, when as much time has gone by as that turn
/// took.
pub const EXITS: usize = 16;
/// That time at most. A look that comes later than that behind the one before takes as many more ends as it comes later.
pub const EXITS_PAUSE_MICROSECONDS: u64 = 1_000;
/// So many times [`EXITS`] at most.
pub const EXITS_TIMES: usize = 8;
/// Events that wait when every read becomes small.
pub const FLOOD_EVENTS: usize = 8 * DRAIN_EVENTS;
/// Bytes of one read: a message of 64 KiB and what comes with it, or some 3,000 of the smallest.
pub const READ_BYTES: usize = 80 * 1024;
/// Bytes of one read of a connection that has more than that, whenever it has its turn.
pub const READ_ON_BYTES: usize = 4 * 1024;
/// How long such a connection waits for a JavaScript thread that takes nothing; then it is read until
/// [`INTAKE_BYTES`], and its pings are answered.
pub const AHEAD_MILLISECONDS: u64 = 1_000;

/// Bytes of large messages in one drain: more would hold them twice, in Rust and in JavaScript.
pub const DRAIN_LARGE_BYTES: usize = 1024 * 1024;

/// Capacity that a buffer keeps between two uses. One burst must not be paid for for ever.
pub const RECYCLED_BYTES: usize = 2 * 1024 * 1024;

/// Bytes that a session keeps of a handshake message in several records that is not whole: rustls takes 64 KiB, and
/// a certificate chain of a client is one.
pub const TLS_CUT_BYTES: usize = 80 * 1024;

/// Bytes that a session keeps once the handshake is done: a record has 18,437 at most (RFC 5246 §6.2.3), and what
/// else is said then is short.
pub const TLS_CUT_RECORD_BYTES: usize = 20 * 1024;

/// Plaintext that is sealed at a time: four records in one write. A slow peer holds as much ciphertext.
pub const TLS_SEALED_BYTES: usize = 64 * 1024;

/// Records that wait for a peer that does not read: those of one write, and what rustls says by itself.
pub const TLS_UNSENT_BYTES: usize = TLS_SEALED_BYTES + 64 * 1024;

/// Bytes of a ClientHello: browsers send less than 2 KiB, with a key of ML-KEM and tickets less than 5.
pub const TLS_HELLO_BYTES: usize = 16 * 1024;

/// A TLS handshake must be done within this time, counted from `accept`; what JavaScript takes for a server name
/// is not counted.
pub const TLS_HANDSHAKE_SECONDS: u64 = 10;

/// TLS handshakes under way in one gate; others wait in line. A client of the other side of the world takes a third
/// of a second for its part, so that so many keep a core busy with RSA keys of 2,048 bits, which signs
/// some 1,500 times a second; and who sends a ClientHello and nothing else holds a place for no longer than
/// [`TLS_PERMIT_MILLISECONDS`].
pub const TLS_HANDSHAKES: usize = 1_024;

/// Who lets a TLS handshake rest for so long, in all, gives its place to the next in line, and goes on without one.
pub const TLS_PERMIT_MILLISECONDS: u64 = 1_000;

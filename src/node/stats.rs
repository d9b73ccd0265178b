//! The numbers of an App as they cross to JavaScript: `lib/stats.js` adds them up.
//!
//! Made on the JavaScript thread when somebody asks. A number is a double there: exact up to 2^53.

use std::collections::BTreeMap;

use napi_derive::napi;

use crate::bridge::{Budget, CloseCause, Crossing, Reached, Waiting};
use crate::gate::{Counts, TlsCounts, TurnedAway};
use crate::reactor::{Shared, Tally};

/// The numbers of the whole engine. What each one means stands in `index.d.ts`.
#[napi(object)]
pub struct EngineStats {
    /// In the order of the reactors.
    pub reactors: Vec<ReactorStats>,
    /// Of the gate.
    pub gate: GateStats,
    /// Of the memory budget.
    pub budget: BudgetStats,
}

/// The memory budget, as far as the reactors' numbers do not have it.
#[napi(object)]
pub struct BudgetStats {
    /// Bytes; 0: there is none.
    pub limit: f64,
    /// Events and commands of the gate, and what waits in its HTTP conversations.
    pub http_bytes: f64,
    /// Connections of HTTP that were closed.
    pub http_shed: f64,
    /// See [`Reached`].
    pub reading_stops: f64,
    pub accepting_stops: f64,
    pub closings: f64,
}

/// One reactor: see [`Tally`].
#[napi(object)]
pub struct ReactorStats {
    pub connections: f64,
    pub opened: f64,
    pub closes: ClosesByCause,
    pub messages_in: f64,
    pub messages_out: f64,
    pub bytes_in: f64,
    pub bytes_out: f64,
    pub dropped: f64,
    pub pings_in: f64,
    pub pings_out: f64,
    pub pongs_in: f64,
    pub batches: f64,
    pub events: f64,
    pub largest_batch: f64,
    pub waiting: WaitingStats,
    pub memory: MemoryStats,
    /// See [`Tally::outbox_memory_bytes`].
    pub outbox_memory_bytes: f64,
    /// See [`Tally::shed`].
    pub shed: f64,
}

/// See [`CloseCause`].
#[napi(object)]
pub struct ClosesByCause {
    pub peer: f64,
    pub local: f64,
    pub fin: f64,
    pub reset: f64,
    pub timeout: f64,
    pub protocol: f64,
    pub backpressure: f64,
    pub shutdown: f64,
    pub failure: f64,
    pub memory: f64,
}

/// What waits in one reactor.
#[napi(object)]
pub struct WaitingStats {
    /// Connections and requests that the gate has handed over, and the reactor has not taken.
    pub arrivals: f64,
    /// Batches that JavaScript has not taken.
    pub batches: f64,
    /// Events that JavaScript has not taken.
    pub events: f64,
    /// Memory of those.
    pub event_bytes: f64,
    /// Commands that the reactor has not taken.
    pub command_bytes: f64,
    /// See [`Tally::outbox_bytes`].
    pub outbox_bytes: f64,
    /// See [`Tally::parked_bytes`].
    pub parked_bytes: f64,
    /// See [`Tally::assembly_bytes`].
    pub assembly_bytes: f64,
    /// See [`Tally::session_bytes`].
    pub record_bytes: f64,
}

/// See [`Memory`](crate::reactor::Memory); bytes.
#[napi(object)]
pub struct MemoryStats {
    pub connections: f64,
    pub subscriptions: f64,
    pub contexts: f64,
    pub buffers: f64,
}

/// The gate: see [`Counts`].
#[napi(object)]
pub struct GateStats {
    pub accepted: f64,
    pub handshakes: f64,
    pub http_connections: f64,
    pub requests: f64,
    pub upgraded: f64,
    pub timed_out: f64,
    pub refused: BTreeMap<String, f64>,
    pub turned_away: TurnedAwayStats,
    pub accept_pauses: AcceptPauses,
    /// Of an App that speaks it.
    pub tls: Option<TlsStats>,
}

/// See [`TurnedAway`]; by the options' names.
#[napi(object)]
pub struct TurnedAwayStats {
    pub max_connections: f64,
    pub max_connections_per_address: f64,
    pub connections_per_minute_per_address: f64,
}

/// The handshakes of TLS: see [`TlsCounts`].
#[napi(object)]
pub struct TlsStats {
    pub handshakes: f64,
    pub resumed: f64,
    /// Those that there were, by the reason.
    pub failed: BTreeMap<String, f64>,
}

/// The pauses of accepting.
#[napi(object, use_nullable = true)]
pub struct AcceptPauses {
    /// How many there were.
    pub count: f64,
    /// The reason of the last one.
    pub code: Option<String>,
    /// Whether a listener pauses now.
    pub now: bool,
}

impl ReactorStats {
    /// Of a reactor that runs.
    pub fn of(shared: &Shared) -> Self {
        let queues = (shared.waiting_arrivals(), shared.crossing.inbox.waiting_bytes());
        Self::from(&shared.tally(), shared.crossing.mailbox.waiting(), queues)
    }

    /// Of one that does not run.
    pub fn none() -> Self {
        Self::from(&Tally::default(), Waiting::default(), (0, 0))
    }

    fn from(tally: &Tally, waiting: Waiting, (arrivals, command_bytes): (usize, usize)) -> Self {
        let closes = |cause| tally.closes(cause) as f64;
        Self {
            connections: tally.connections() as f64,
            opened: tally.opened as f64,
            closes: ClosesByCause {
                peer: closes(CloseCause::Peer),
                local: closes(CloseCause::Local),
                fin: closes(CloseCause::Fin),
                reset: closes(CloseCause::Reset),
                timeout: closes(CloseCause::Timeout),
                protocol: closes(CloseCause::Protocol),
                backpressure: closes(CloseCause::Backpressure),
                shutdown: closes(CloseCause::Shutdown),
                failure: closes(CloseCause::Failure),
                memory: closes(CloseCause::Memory),
            },
            messages_in: tally.messages_in as f64,
            messages_out: tally.messages_out as f64,
            bytes_in: tally.bytes_in as f64,
            bytes_out: tally.bytes_out as f64,
            dropped: tally.dropped as f64,
            pings_in: tally.pings_in as f64,
            pings_out: tally.pings_out as f64,
            pongs_in: tally.pongs_in as f64,
            batches: tally.batches as f64,
            events: tally.events as f64,
            largest_batch: tally.largest_batch as f64,
            waiting: WaitingStats {
                arrivals: arrivals as f64,
                batches: waiting.batches as f64,
                events: waiting.events as f64,
                event_bytes: waiting.bytes as f64,
                command_bytes: command_bytes as f64,
                outbox_bytes: tally.outbox_bytes as f64,
                parked_bytes: tally.parked_bytes as f64,
                assembly_bytes: tally.assembly_bytes as f64,
                record_bytes: tally.session_bytes as f64,
            },
            memory: MemoryStats {
                connections: tally.memory.connections as f64,
                subscriptions: tally.memory.subscriptions as f64,
                contexts: tally.memory.contexts as f64,
                buffers: tally.memory.buffers as f64,
            },
            outbox_memory_bytes: tally.outbox_memory_bytes as f64,
            shed: tally.shed as f64,
        }
    }
}

impl BudgetStats {
    /// Of threads that run.
    pub fn of(budget: &Budget, gate: &Crossing, counts: &Counts) -> Self {
        let http_bytes = counts.waiting_bytes as usize + gate.mailbox.waiting().bytes + gate.inbox.waiting_bytes();
        Self::from(budget.limit_bytes(), http_bytes, budget.reached(), counts.shed)
    }

    /// Before they do.
    pub fn none(limit_bytes: usize) -> Self {
        Self::from(limit_bytes, 0, Reached::default(), 0)
    }

    fn from(limit_bytes: usize, http_bytes: usize, reached: Reached, http_shed: u64) -> Self {
        Self {
            limit: limit_bytes as f64,
            http_bytes: http_bytes as f64,
            http_shed: http_shed as f64,
            reading_stops: reached.reading as f64,
            accepting_stops: reached.accepting as f64,
            closings: reached.closing as f64,
        }
    }
}

impl GateStats {
    /// Of a gate with these counts.
    pub fn of(counts: Counts, speaks_tls: bool) -> Self {
        Self {
            accepted: counts.accepted as f64,
            handshakes: counts.handshakes as f64,
            http_connections: counts.http_connections as f64,
            requests: counts.requests as f64,
            upgraded: counts.upgraded as f64,
            timed_out: counts.timed_out as f64,
            refused: counts.refused.into_iter().map(|(status, count)| (status.to_string(), count as f64)).collect(),
            turned_away: counts.turned_away.into(),
            accept_pauses: AcceptPauses {
                count: counts.accept_pauses as f64,
                code: counts.accept_pause_code.map(str::to_owned),
                now: counts.pausing_listeners > 0,
            },
            tls: speaks_tls.then(|| counts.tls.into()),
        }
    }
}

impl From<TurnedAway> for TurnedAwayStats {
    fn from(counts: TurnedAway) -> Self {
        Self {
            max_connections: counts.app as f64,
            max_connections_per_address: counts.address as f64,
            connections_per_minute_per_address: counts.rate as f64,
        }
    }
}

impl From<TlsCounts> for TlsStats {
    fn from(counts: TlsCounts) -> Self {
        Self {
            handshakes: counts.handshakes as f64,
            resumed: counts.resumed as f64,
            failed: counts.failed.into_iter().map(|(reason, count)| (reason.to_owned(), count as f64)).collect(),
        }
    }
}

//! The gate's lane, in every order of its two threads: a request is asked and answered, and one that waits for
//! room goes on. See `bridge::model`.

use std::cell::Cell;
use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use loom::thread;

use super::super::conversation::{Piece, Verdict};
use super::super::desk::{Bell, Desk, crossing};
use crate::bridge::command::{ANSWER_RESPONSE, FLAG_FIN, encode};
use crate::bridge::model::{JavaScript, explore};
use crate::bridge::sync::{Condvar, Mutex};
use crate::bridge::{Batch, Budget, CommandKind, ConnectionId, Crossing, EventKind, RouteId};
use crate::limits;

/// The gate's thread has two tasks here: the keeper, and a connection's.
#[derive(Default)]
struct Executor {
    ready: Mutex<[bool; 2]>,
    condition: Condvar,
}

struct Task {
    executor: Arc<Executor>,
    number: usize,
}

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        self.executor.ready.lock().unwrap()[self.number] = true;
        self.executor.condition.notify_one();
    }
}

impl Executor {
    /// Polls both tasks, then each that is woken, until the connection's is done.
    fn run(self: Arc<Self>, mut keeper: impl FnMut(&Context<'_>), mut task: impl FnMut(&Context<'_>) -> Poll<()>) {
        let wakers = [0, 1].map(|number| Waker::from(Arc::new(Task { executor: self.clone(), number })));
        let mut ready = [true; 2];
        loop {
            if ready[1] && task(&Context::from_waker(&wakers[1])).is_ready() {
                return;
            }
            if ready[0] {
                keeper(&Context::from_waker(&wakers[0]));
            }
            let mut woken = self.ready.lock().unwrap();
            while *woken == [false; 2] {
                woken = self.condition.wait(woken).unwrap();
            }
            ready = std::mem::take(&mut *woken);
        }
    }
}

/// A gate's lane, and the JavaScript thread at its other end.
fn lane() -> (Arc<Crossing>, Bell, Arc<JavaScript>) {
    let js = JavaScript::asleep();
    let rung = js.clone();
    let (crossing, bell) = crossing(&Budget::new(0), Box::new(move || rung.ring()));
    (crossing, bell, js)
}

/// JavaScript takes one batch. Returns the id and the kind of its first event, if there was one.
fn take(crossing: &Crossing) -> Option<(ConnectionId, u8)> {
    let mut descriptors = [0; 8];
    let drained = crossing.mailbox.drain(&mut descriptors, &mut [0; 64], 0, &mut VecDeque::new());
    if drained.made_room {
        crossing.ring();
    }
    let id = ConnectionId { index: descriptors[0], generation: (descriptors[1] >> 16) as u16 };
    (drained.events > 0).then_some((id, descriptors[1] as u8))
}

#[test]
fn a_request_is_asked_and_its_response_comes_whole() {
    explore(3, || {
        let (crossing, bell, js) = lane();
        let javascript = thread::spawn({
            let crossing = crossing.clone();
            move || {
                js.run(|| {
                    let Some((id, kind)) = take(&crossing) else { return false };
                    assert_eq!(kind, EventKind::Request as u8);
                    let answer: [(_, _, &[u8]); 2] = [
                        (CommandKind::Begin, ANSWER_RESPONSE, b"200 OK\n\n"),
                        (CommandKind::Content, FLAG_FIN, b"content"),
                    ];
                    for (kind, flags, payload) in answer {
                        let mut commands = Vec::new();
                        encode(&mut commands, kind, flags, id, payload);
                        crossing.inbox.push(&commands, None);
                        crossing.ring();
                    }
                    true
                });
            }
        });
        let desk = Desk::new(crossing, bell, Default::default());
        let (mut conversation, mut is_begun) = (None, false);
        Arc::new(Executor::default()).run(
            |cx| desk.turn(cx),
            |cx| {
                let conversation = conversation.get_or_insert_with(|| desk.ask(RouteId(0), None, b"GET / HTTP/1.1"));
                if !is_begun {
                    let Poll::Ready(verdict) = conversation.poll_verdict(cx) else { return Poll::Pending };
                    assert_eq!(verdict, Verdict::Streamed(b"200 OK\n\n".to_vec()));
                    is_begun = true;
                }
                conversation
                    .poll_piece(cx)
                    .map(|piece| assert!(matches!(piece, Piece::Bytes(bytes) if *bytes == *b"content")))
            },
        );
        javascript.join().unwrap();
    });
}

#[test]
fn content_that_waits_for_room_goes_on() {
    explore(3, || {
        let (crossing, bell, js) = lane();
        let mut batch = Batch::default();
        let nobody = ConnectionId { index: u32::MAX, generation: 0 };
        batch.push_large(nobody, EventKind::Content, 0, vec![0; limits::INTAKE_BYTES]);
        crossing.mailbox.post(&mut batch);
        let javascript = thread::spawn({
            let (crossing, js) = (crossing.clone(), js.clone());
            move || js.run(|| take(&crossing).is_some())
        });
        crossing.ring_javascript();
        let desk = Desk::new(crossing.clone(), bell, Default::default());
        let conversation = desk.ask_server_name("example.org");
        let turns = Cell::new(0);
        Arc::new(Executor::default()).run(
            |cx| {
                turns.set(turns.get() + 1);
                desk.turn(cx);
            },
            |cx| {
                // After two turns what was asked is handed over, and the keeper has no reason of its own to look again.
                if turns.get() < 2 {
                    cx.waker().wake_by_ref();
                } else if desk.is_full() {
                    desk.stall(&conversation, cx);
                } else {
                    return Poll::Ready(());
                }
                Poll::Pending
            },
        );
        javascript.join().unwrap();
    });
}

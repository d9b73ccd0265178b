//! The App's memory budget at the gate: when nothing is accepted, and whose response is given up.

use std::task::{Context, Poll, Waker};

use super::super::conversation::{Piece, Verdict};
use super::super::desk::{Desk, crossing};
use super::super::stock::Stock;
use super::client::{Issued, TLS13, connection};
use super::javascript::Javascript;
use super::*;
use crate::bridge::command::ANSWER_RESPONSE;
use crate::bridge::{CommandKind, EventKind, Held, Share};
use crate::gate::Handler;

const MIB: usize = 1024 * 1024;

/// Bytes that wait elsewhere in the App.
fn elsewhere(site: &Site, inside_bytes: usize) -> Share {
    let mut share = Share::of(&site.budget);
    share.hold(Held { inside_bytes, outside_bytes: 0 });
    share
}

#[test]
fn nothing_is_accepted_while_the_budget_is_nearly_spent() {
    let site = thrifty_site(100 * MIB);
    let mut share = elsewhere(&site, 98 * MIB);
    let mut client = site.connect();
    client.write_all(opening("/chat", "").as_bytes()).unwrap();
    let full = site.when(|counts| counts.pausing_listeners == 1);
    assert_eq!((full.accepted, full.accept_pauses, full.accept_pause_code), (0, 1, Some("TIDEWIRE_MEMORY_FULL")));
    client.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    assert!(client.read(&mut [0]).is_err(), "it waits");
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    share.hold(Held { inside_bytes: 94 * MIB, outside_bytes: 0 });
    assert!(answer(&mut client).starts_with("HTTP/1.1 101 "));
    let open = site.when(|counts| counts.pausing_listeners == 0);
    assert_eq!((open.accepted, open.accept_pauses), (1, 1), "one pause, however often it has looked");
    site.gate.stop();
}

/// Two clients that read nothing, of which one has a response of 40 MiB and the other one of 12; the kernel has less
/// than 8 of each. Where there is no more room, the larger one is cut off, and the other gets all of its: it has less
/// than half of what is still kept of the larger one, even if nothing of it has gone out yet.
fn the_larger_goes(is_streamed: bool) {
    let site = thrifty_site(60 * MIB);
    site.routes.set_handler("GET", "/much", Some(Handler::Asked(RouteId(20)))).unwrap();
    let mut javascript = Javascript::of(&site);
    let mut clients = [site.connect(), site.connect()];
    let mut places = Vec::new();
    for (client, (size, is_streamed)) in clients.iter_mut().zip([(40 * MIB, is_streamed), (12 * MIB, !is_streamed)]) {
        client.write_all(b"GET /much HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        let (place, ..) = javascript.request();
        places.push(place);
        if is_streamed {
            let head = format!("200 OK\n:length:{size}\n\n");
            javascript.tell(&[(CommandKind::Begin, 0, place, head.as_bytes())]);
            for _ in 0..size / MIB {
                javascript.tell(&[(CommandKind::Content, 0, place, &vec![7; MIB])]);
            }
        } else {
            let response = [b"200 OK\n\n".to_vec(), vec![7; size]].concat();
            javascript.tell(&[
                (CommandKind::Answer, ANSWER_RESPONSE, place, &response),
                (CommandKind::Release, 0, place, b""),
            ]);
        }
    }
    // The larger one has all of its by then: it was first.
    let waits = |counts: &Counts| counts.waiting_bytes as usize > 36 * MIB;
    assert_eq!(site.when(waits).shed, 0);
    let _share = elsewhere(&site, 28 * MIB);
    let counts = site.when(|counts| counts.shed > 0 && counts.waiting_bytes as usize <= 13 * MIB);
    assert_eq!(counts.shed, 1);
    let mut taken = Vec::new();
    // Cut off, be it by a reset.
    let _ = clients[0].read_to_end(&mut taken);
    assert!(taken.len() < 40 * MIB, "{}", taken.len());
    if is_streamed {
        assert_eq!(javascript.expect(EventKind::Aborted).place, places[0]);
    }
    let mut content = Vec::new();
    while content.iter().filter(|&&byte| byte == 7).count() < 12 * MIB {
        let mut part = vec![0; MIB];
        let count = clients[1].read(&mut part).unwrap();
        assert_ne!(count, 0, "the smaller one was cut off");
        content.extend_from_slice(&part[..count]);
    }
    assert_eq!((site.gate.counts().shed, site.budget.reached().closing), (1, 1));
    site.when(|counts| counts.waiting_bytes == 0);
    assert!(!site.budget.level().closes());
    site.gate.stop();
}

#[test]
fn a_streamed_response_of_which_the_most_waits_is_given_up() {
    the_larger_goes(true);
}

#[test]
fn a_whole_response_of_which_the_most_waits_is_given_up() {
    the_larger_goes(false);
}

/// A client that has asked for more before it has taken its response is closed as any other, whether the gate waits with
/// that, or has it already: then the end of the first one's content came behind the response.
fn a_response_is_given_up_behind_another_request(is_called: bool) {
    let site = thrifty_site(60 * MIB);
    site.routes.set_handler("ANY", "/much", Some(Handler::Asked(RouteId(20)))).unwrap();
    let mut javascript = Javascript::of(&site);
    let mut client = site.connect();
    let next = "GET /much HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let first = match is_called {
        true => "POST /much HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\n".to_owned(),
        false => next.repeat(2),
    };
    client.write_all(first.as_bytes()).unwrap();
    let (place, ..) = javascript.request();
    javascript.respond(place, &format!("200 OK\n\n{}", "x".repeat(32 * MIB)));
    site.when(|counts| counts.waiting_bytes as usize >= 32 * MIB);
    if is_called {
        client.write_all(format!("last{next}").as_bytes()).unwrap();
        javascript.request();
    }
    let _share = elsewhere(&site, 34 * MIB);
    let counts = site.when(|counts| counts.waiting_bytes == 0 && counts.http_connections == 0);
    assert_eq!((counts.shed, site.budget.reached().closing), (1, 1));
    assert_eq!(counts.timed_out, 0, "it was not the deadline of a peer that reads nothing");
    site.gate.stop();
}

#[test]
fn a_response_is_given_up_behind_which_another_request_waits() {
    a_response_is_given_up_behind_another_request(false);
}

#[test]
fn a_response_is_given_up_behind_which_another_request_is_asked() {
    a_response_is_given_up_behind_another_request(true);
}

/// Small responses, and with TLS records, that wait for a client which asks on and reads nothing: it can be closed for them
/// as others for large ones.
fn small_ones_count(issued: Option<&Issued>) {
    const SMALL: usize = 15 * 1024;
    const MOST: usize = 4_000;
    let security = issued.map(|issued| Security::new(issued.identity()));
    let site = site_with(usize::MAX, Bounds::default(), security, Budget::new(MIB));
    site.routes.set_handler("GET", "/little", Some(Handler::Asked(RouteId(20)))).unwrap();
    let mut javascript = Javascript::of(&site);
    let mut client = site.connect();
    let mut tls = issued.map(|issued| connection(&issued.trusted(&TLS13, None), "localhost"));
    if let Some(tls) = &mut tls {
        tls.complete_io(&mut client).unwrap();
    }
    let response = format!("200 OK\n\n{}", "x".repeat(SMALL));
    // More than the head of a request, which counts as long as it is looked at.
    let is_blocked = || site.gate.counts().waiting_bytes > 100;
    for round in 0.. {
        assert!(round < MOST, "{:?}", site.gate.counts());
        let request = b"GET /little HTTP/1.1\r\nHost: localhost\r\n\r\n";
        match &mut tls {
            Some(tls) => {
                tls.writer().write_all(request).unwrap();
                tls.write_tls(&mut client).unwrap();
            }
            None => client.write_all(request).unwrap(),
        }
        for look in 0.. {
            javascript.drain();
            if look > 200 && is_blocked() || !javascript.events.is_empty() {
                break;
            }
            std::thread::sleep(Duration::from_millis(1));
            if look % 1_000 == 999 {
                // So little waits that it is not to be told from a head.
                assert_ne!(client.read(&mut [0; 100_000]).unwrap(), 0);
            }
        }
        if javascript.events.is_empty() {
            break;
        }
        let (place, ..) = javascript.request();
        javascript.respond(place, &response);
    }
    let held = site.gate.counts().waiting_bytes as usize;
    assert!(held < 8 * SMALL, "{held}");
    let _share = elsewhere(&site, MIB);
    // What waits for peers is less than a tenth of the budget, for which nobody is closed; so some more does.
    let mut others = Share::of(&site.budget);
    others.hold(Held { inside_bytes: 0, outside_bytes: MIB / 10 });
    let counts = site.when(|counts| counts.shed == 1 && counts.http_connections == 0);
    assert_eq!((counts.timed_out, counts.waiting_bytes), (0, 0));
    site.gate.stop();
}

#[test]
fn small_responses_that_wait_count_for_their_client() {
    small_ones_count(None);
}

#[test]
fn records_of_tls_that_wait_count_for_their_client() {
    small_ones_count(Some(&Issued::new("localhost")));
}

/// A desk of an App with a budget of 1 MiB.
fn thrifty_desk() -> (Desk, Arc<Budget>) {
    let budget = Budget::new(MIB);
    let (crossing, bell) = crossing(&budget, Box::new(|| {}));
    (Desk::new(crossing, bell, Stock::default()), budget)
}

/// JavaScript is busy: it neither takes the news of a conversation that is closed, nor releases it. What was written in it is
/// gone all the same, and the next one is closed.
#[test]
fn who_was_closed_holds_nobody_up_while_javascript_is_busy() {
    let (desk, budget) = thrifty_desk();
    let cx = &mut Context::from_waker(Waker::noop());
    let written = [3 * MIB, 2 * MIB].map(|bytes| {
        let conversation = desk.ask(RouteId(0), None, b"");
        conversation.answer(Verdict::Streamed(b"200 OK\n\n".to_vec()));
        conversation.write(vec![7; bytes].into(), false);
        conversation
    });
    desk.turn(cx);
    assert_eq!(written.each_ref().map(|written| (written.is_shed(), written.weight())), [(true, 0), (false, 2 * MIB)]);
    desk.turn(cx);
    assert!(written[1].is_shed() && !budget.level().closes());
}

/// What hyper has goes with the task of its connection. Should that not end, one turn waits for it, and no more.
#[test]
fn who_was_closed_and_does_not_go_is_waited_for_once() {
    let (desk, budget) = thrifty_desk();
    let cx = &mut Context::from_waker(Waker::noop());
    let asked = [2 * MIB, MIB].map(|bytes| {
        let conversation = desk.ask(RouteId(0), None, b"");
        let kept = desk.keep(&conversation, vec![7; bytes]);
        (conversation, kept)
    });
    let shed = || asked.each_ref().map(|(conversation, _)| conversation.is_shed());
    desk.turn(cx);
    assert_eq!((shed(), asked[0].0.weight()), ([true, false], 2 * MIB));
    desk.turn(cx);
    assert_eq!(shed(), [true, false], "it may be about to go");
    desk.turn(cx);
    assert_eq!(shed(), [true, true]);
    drop(asked);
    desk.turn(cx);
    assert!(!budget.level().closes());
}

/// What was written of it may go out still, but then the connection ends: without a length, the end of the content would
/// make the response look whole.
#[test]
fn a_response_that_is_given_up_does_not_look_whole() {
    let budget = Budget::new(MIB);
    let (crossing, bell) = crossing(&budget, Box::new(|| {}));
    let desk = Desk::new(crossing, bell, Stock::default());
    let conversation = desk.ask(RouteId(0), None, b"");
    conversation.answer(Verdict::Streamed(b"200 OK\n\n".to_vec()));
    conversation.write(vec![7; 2 * MIB].into(), false);
    let cx = &mut Context::from_waker(Waker::noop());
    desk.turn(cx);
    assert!(conversation.is_shed());
    assert!(matches!(conversation.poll_piece(cx), Poll::Ready(Piece::Close)));
    // So does one of which JavaScript has said the last.
    let whole = desk.ask(RouteId(0), None, b"");
    whole.answer(Verdict::Streamed(b"200 OK\n\n".to_vec()));
    whole.write(vec![7; 2 * MIB].into(), true);
    desk.turn(cx);
    assert!(whole.is_shed() && matches!(whole.poll_piece(cx), Poll::Ready(Piece::Close)));
}

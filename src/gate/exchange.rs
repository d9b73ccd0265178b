//! The requests of one connection, as hyper's service: which route has each, and how it is answered.
//!
//! One value for each connection, in its task. hyper calls it for a request when the one before is
//! answered; what crosses to JavaScript meanwhile is seen to by [`Exchange::poll_javascript`].

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::{CONNECTION, HeaderValue};
use http::request::Parts;
use http::{HeaderMap, Method, Request, StatusCode};
use hyper::body::{Body, Incoming};
use hyper::service::Service;

use super::admission::{Counting, Surplus};
use super::answer;
use super::ask::{NoResponse, Question, Reserved};
use super::conversation::{Conversation, Verdict};
use super::entrance::{Entrance, Terms};
use super::hand_over::Admitted;
use super::pump::{End, Pump};
use super::reply::{Reply, ReplyBody};
use super::routes::Handler;
use super::screened::Findings;
use super::search::{Candidate, Next, Search};
use super::seat::Seat;
use super::stream::Stream;
use super::tally::Visit;
use super::wire::{Flow, Watch};
use crate::bridge::RouteId;
use crate::error::FaultPoint;
use crate::http::{Declared, HeadText, Refusal, Then, request};
use crate::limits;
use crate::reactor::Answer;

/// What the peer owes, and a mark that changes with what it pays: see [`Exchange::owed`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owed {
    /// A head; the mark is the number of requests before.
    Head(u32),
    /// Content; the mark is the number of windows that came.
    Content(u64),
    /// To read; the mark is what it has read of all.
    Reading(u64),
    /// Nothing: it waits for JavaScript.
    Nothing,
}

/// The refusal of a head whose text does not cross to JavaScript.
const HEAD_TOO_LONG: Refusal = Refusal {
    status: StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
    says: "the head is too long for this route",
    then: Then::Close,
};

/// See the module.
pub(super) struct Exchange<'e> {
    entrance: &'e Entrance,
    terms: &'e Terms,
    stream: &'e RefCell<Stream>,
    flow: &'e Flow,
    visit: &'e Visit,
    counting: &'e Counting<'e>,
    /// What the screen before hyper has found.
    findings: &'e Findings,
    /// What follows from the request that was answered with 101.
    pub(super) admitted: Cell<Option<Admitted>>,
    /// Requests that were begun, and answers that JavaScript has given.
    steps: Cell<u32>,
    /// Whether a reactor asks JavaScript.
    asking: Cell<bool>,
    seat: Seat<'e>,
    pump: RefCell<Option<Pump>>,
    /// Set while JavaScript has a request whose peer is not read.
    watch: RefCell<Option<Watch<'e>>>,
}

/// The answer to a request.
pub(super) enum Answering<'a, 'e> {
    /// It is there.
    Now(Option<Reply>),
    /// A handler was asked.
    Asked(Asked<'a, 'e>),
    /// It has a longer way.
    Later(Pin<Box<dyn Future<Output = Result<Reply, NoResponse>> + 'a>>),
}

/// What is kept of a request that a handler has: much less than of one that may go through several.
pub(super) struct Asked<'a, 'e> {
    exchange: &'a Exchange<'e>,
    conversation: Rc<Conversation>,
    head: Parts,
    text: HeadText,
    search: Search,
    has_content: bool,
}

impl Future for Answering<'_, '_> {
    type Output = Result<Reply, NoResponse>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let asked = match &mut *self {
            Self::Now(reply) => return Poll::Ready(reply.take().ok_or(NoResponse)),
            Self::Later(later) => return later.as_mut().poll(cx),
            Self::Asked(asked) => asked,
        };
        let verdict = ready!(asked.conversation.poll_verdict(cx));
        if let Some(reply) = asked.exchange.conclude(verdict, &asked.conversation, &mut asked.head)? {
            return Poll::Ready(Ok(reply));
        }
        let Self::Asked(Asked { exchange, head, text, mut search, has_content, .. }) =
            std::mem::replace(&mut *self, Self::Now(None))
        else {
            return Poll::Ready(Err(NoResponse));
        };
        let next = search.next(&exchange.terms.routes, &head, has_content);
        self.set(Self::Later(Box::pin(exchange.ask(head, text, has_content, next, search))));
        self.poll(cx)
    }
}

impl<'a, 'e> Service<Request<Incoming>> for &'a Exchange<'e> {
    type Response = Reply;
    type Error = NoResponse;
    type Future = Answering<'a, 'e>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        self.entrance.desk().faults().pass(FaultPoint::Request);
        self.step();
        // What came before it is over, or nobody listens any more, as behind an answer to HEAD: JavaScript
        // is told, for nothing else would tell it to write no more.
        self.seat.leave();
        self.pump.take();
        let (head, content) = request.into_parts();
        let has_content = !content.is_end_stream();
        let mut search = Search::default();
        let (refusal, text) = (self.findings.refusal.take(), self.findings.text.take());
        let refusal =
            refusal.map_or_else(|| if text.is_some() { Ok(()) } else { request::check_host(&head.headers) }, Err);
        if refusal.is_ok()
            && self.counting.is_awaited()
            && let Err(surplus) = self.count_client(&head, text.as_ref())
        {
            let reply = surplus.response().map(|says| ReplyBody::whole(Bytes::from_static(says.as_bytes())));
            return Answering::Now(Some(self.count(reply)));
        }
        let next = match refusal {
            Err(refusal) => Next::Refused(refusal),
            Ok(()) => search.next(&self.terms.routes, &head, has_content),
        };
        match next {
            Next::Refused(refusal) => Answering::Now(Some(self.refuse_with_content(refusal, has_content))),
            Next::WebSocket(candidate) if !candidate.endpoint.route.asks => {
                Answering::Now(Some(self.admit(&candidate, None)))
            }
            next => {
                self.pump.replace(Some(Pump::new(content, &head)));
                let text = text.unwrap_or_else(|| HeadText::of(&head, self.findings.notes()));
                match next {
                    _ if text.as_bytes().len() > limits::ASKED_HEAD_BYTES => {
                        Answering::Now(Some(self.refuse_with_content(HEAD_TOO_LONG, has_content)))
                    }
                    Next::Http(Handler::Asked(route)) => {
                        let conversation = self.ask_desk(route, &text);
                        Answering::Asked(Asked { exchange: self, conversation, head, text, search, has_content })
                    }
                    next => Answering::Later(Box::pin(self.ask(head, text, has_content, next, search))),
                }
            }
        }
    }
}

impl<'e> Exchange<'e> {
    pub(super) fn new(
        entrance: &'e Entrance,
        terms: &'e Terms,
        stream: &'e RefCell<Stream>,
        flow: &'e Flow,
        visit: &'e Visit,
        counting: &'e Counting<'e>,
        findings: &'e Findings,
    ) -> Self {
        Self {
            entrance,
            terms,
            stream,
            flow,
            visit,
            counting,
            findings,
            admitted: Cell::new(None),
            steps: Cell::new(0),
            asking: Cell::new(false),
            seat: Seat::new(entrance),
            pump: RefCell::new(None),
            watch: RefCell::new(None),
        }
    }

    /// What the peer owes now.
    pub(super) fn owed(&self) -> Owed {
        if let Some(written) = self.flow.blocked() {
            return Owed::Reading(written);
        }
        if let Some(windows) = self.pump.borrow().as_ref().and_then(Pump::awaited) {
            return Owed::Content(windows);
        }
        match self.is_asking() {
            true => Owed::Nothing,
            false => Owed::Head(self.steps.get()),
        }
    }

    /// Whether a reactor asks JavaScript: the answer may be a 101, behind which the connection goes on.
    pub(super) fn may_upgrade(&self) -> bool {
        self.asking.get()
    }

    /// Whether JavaScript has a request that it has not answered to the end.
    fn is_asking(&self) -> bool {
        self.asking.get() || self.has_conversation()
    }

    /// Sees to what crosses to JavaScript beside the answer: the request's content, and whether the peer
    /// stays. Ready when it is gone.
    pub(super) fn poll_javascript(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.seat.burden(self.flow.unwritten_bytes(), self.stream.borrow().held_bytes());
        if self.seat.poll_shed(cx).is_ready() {
            return Poll::Ready(());
        }
        self.poll_content(cx);
        let is_reading = self.pump.borrow().as_ref().is_some_and(|pump| pump.awaited().is_some());
        if is_reading || !self.has_conversation() {
            self.watch.take();
            return Poll::Pending;
        }
        self.watch.borrow_mut().get_or_insert_with(|| Watch::new(self.stream)).poll_gone(cx)
    }

    fn poll_content(&self, cx: &mut Context<'_>) {
        let mut pump = self.pump.borrow_mut();
        let conversation = self.seat.conversation.borrow();
        let (Some(pumping), Some(conversation)) = (&mut *pump, &*conversation) else { return };
        let Poll::Ready(end) = pumping.poll(cx, conversation, self.entrance.desk()) else { return };
        *pump = None;
        if end == End::Broken {
            let is_told = self.entrance.desk().abort(conversation);
            conversation.answer(self.findings.refusal.take().map_or(Verdict::Close, Verdict::Refused));
            if is_told {
                // A response that was begun would look as if it were whole.
                conversation.close();
            }
        }
    }

    /// Before hyper looks for another request: whether JavaScript wants one behind that which is being
    /// answered.
    pub(super) fn heed_last(&self) {
        if self.seat.conversation.borrow().as_ref().is_some_and(|conversation| conversation.is_last()) {
            self.findings.is_last.set(true);
        }
    }

    /// Whether a handler has one.
    fn has_conversation(&self) -> bool {
        self.seat.conversation.borrow().as_ref().is_some_and(|conversation| !conversation.is_over())
    }

    fn step(&self) {
        self.steps.set(self.steps.get().wrapping_add(1));
    }

    /// Has it answered, until a route of those that match does not yield.
    async fn ask(
        &self,
        mut head: Parts,
        text: HeadText,
        has_content: bool,
        mut next: Next,
        mut search: Search,
    ) -> Result<Reply, NoResponse> {
        loop {
            let reply = match next {
                Next::Refused(refusal) => Some(self.refuse_with_content(refusal, has_content)),
                Next::WebSocket(candidate) if !candidate.endpoint.route.asks => Some(self.admit(&candidate, None)),
                Next::WebSocket(candidate) => self.ask_reactor(candidate, &text).await?,
                Next::Http(Handler::Asked(route)) => {
                    let conversation = self.ask_desk(route, &text);
                    let verdict = poll_fn(|cx| conversation.poll_verdict(cx)).await;
                    self.conclude(verdict, &conversation, &mut head)?
                }
                Next::Http(Handler::Declared(declared)) => Some(self.declare(&declared, &text).await?),
            };
            if let Some(reply) = reply {
                return Ok(reply);
            }
            next = search.next(&self.terms.routes, &head, has_content);
        }
    }

    /// Counts the connection for whom its proxy speaks.
    fn count_client(&self, head: &Parts, text: Option<&HeadText>) -> Result<(), Surplus> {
        const FORWARDED_FOR: &str = "x-forwarded-for";
        if let Some(client) = self.findings.proxied.get() {
            self.counting.set_proxied(client);
        }
        match text {
            Some(text) => self.counting.count(text.values(FORWARDED_FOR)),
            None => self.counting.count(head.headers.get_all(FORWARDED_FOR).iter().map(HeaderValue::as_bytes)),
        }
    }

    /// Asks an `upgrade` handler, by way of the reactor that will have the connection. `None`: it yields.
    async fn ask_reactor(&self, mut candidate: Candidate, text: &HeadText) -> Result<Option<Reply>, NoResponse> {
        let adopter = self.entrance.reactors().next().ok_or(NoResponse)?;
        let Candidate { endpoint, agreement, .. } = &candidate;
        let question =
            Question::put(adopter, endpoint.route.clone(), *agreement, text.as_bytes().to_vec(), self.terms.peer);
        self.asking.set(true);
        let answer = question.answer(Watch::new(self.stream)).await;
        self.asking.set(false);
        self.step();
        match answer.ok_or(NoResponse)? {
            (Answer::Yield, _) => Ok(None),
            (Answer::Close, _) => Err(NoResponse),
            (Answer::Response(bytes), _) => {
                Ok(Some(self.count(answer::whole(bytes, &Method::GET, HeaderMap::new(), Bytes::from))))
            }
            (Answer::Upgrade { lines, agreement }, reserved) => {
                let (subprotocol, headers) = answer::upgrade(&lines).ok_or(NoResponse)?;
                candidate.opening.subprotocol = subprotocol;
                if agreement.is_none() {
                    candidate.opening.extensions = None;
                }
                let mut reply = self.admit(&candidate, Some(reserved));
                reply.headers_mut().extend(headers);
                Ok(Some(reply))
            }
        }
    }

    /// Asks the handler of a route.
    fn ask_desk(&self, route: RouteId, text: &HeadText) -> Rc<Conversation> {
        self.visit.settle();
        let conversation = self.entrance.desk().ask(route, self.terms.peer, text.as_bytes());
        self.seat.conversation.replace(Some(conversation.clone()));
        conversation
    }

    /// The reply that follows from a handler's verdict. `None`: it yields.
    fn conclude(
        &self,
        verdict: Verdict,
        conversation: &Rc<Conversation>,
        head: &mut Parts,
    ) -> Result<Option<Reply>, NoResponse> {
        self.step();
        match verdict {
            Verdict::Yield => {
                // Its content is the next one's.
                self.seat.unburden(self.seat.conversation.take());
                Ok(None)
            }
            Verdict::Close => Err(NoResponse),
            Verdict::Refused(refusal) => Ok(Some(self.refuse(refusal))),
            Verdict::Whole(bytes) => {
                // hyper keeps the response's for the next request: so its memory goes round.
                let fields = std::mem::take(&mut head.headers);
                let reply = self.part_if_expected(answer::whole(bytes, &head.method, fields, |bytes| {
                    self.entrance.desk().keep(conversation, bytes)
                }));
                self.pump.borrow_mut().take_if(|pump| pump.is_expected());
                Ok(Some(self.count(reply)))
            }
            Verdict::Streamed(bytes) => {
                let Some((response, length)) = answer::streamed(&bytes) else {
                    conversation.close();
                    return Ok(Some(answer::broken()));
                };
                let desk = self.entrance.desk().clone();
                let body = ReplyBody::streamed(conversation.clone(), desk, length);
                Ok(Some(self.count(self.part_if_expected(response.map(|()| body)))))
            }
        }
    }

    /// Answers as it was declared, with the request's content if that is wanted.
    async fn declare(&self, declared: &Declared, text: &HeadText) -> Result<Reply, NoResponse> {
        self.visit.settle();
        let mut content = Vec::new();
        if !declared.wants_content() {
            // hyper sees to content that is there already; for more the connection is not kept.
            self.pump.take();
        } else {
            let end = poll_fn(|cx| match &mut *self.pump.borrow_mut() {
                Some(pump) => pump.poll_collect(cx, &mut content),
                None => Poll::Ready(End::Complete),
            });
            match end.await {
                End::Complete => {}
                End::Broken => {
                    return self.findings.refusal.take().map(|refusal| self.refuse(refusal)).ok_or(NoResponse);
                }
                End::Unwanted => return Ok(self.refuse(Refusal::CONTENT_TOO_LARGE)),
            }
        }
        self.step();
        let mut reply = Reply::new(ReplyBody::whole(declared.body(text, &content).into()));
        *reply.status_mut() = declared.status();
        reply.headers_mut().clone_from(declared.headers());
        Ok(self.count(reply))
    }

    /// The 101.
    fn admit(&self, candidate: &Candidate, reserved: Option<Reserved>) -> Reply {
        let mut reply = Reply::new(ReplyBody::none());
        *reply.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        *reply.headers_mut() = candidate.opening.headers();
        let Candidate { endpoint, agreement, .. } = candidate;
        self.admitted.set(Some(Admitted { route: endpoint.route.clone(), agreement: *agreement, reserved }));
        reply
    }

    /// Refuses a request whose content nobody takes: no request is looked for behind that.
    fn refuse_with_content(&self, mut refusal: Refusal, has_content: bool) -> Reply {
        if has_content {
            self.pump.take();
            refusal.then = Then::Close;
        }
        self.refuse(refusal)
    }

    fn refuse(&self, refusal: Refusal) -> Reply {
        self.count(refusal.into_response().map(|says| ReplyBody::whole(Bytes::from_static(says.as_bytes()))))
    }

    /// To a client that waits to be asked for content, and was not, a response says that the connection ends:
    /// whether content comes now or another request only the client knows.
    fn part_if_expected(&self, mut reply: Reply) -> Reply {
        if self.pump.borrow().as_ref().is_some_and(Pump::is_expected) {
            reply.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        reply
    }

    /// Counts an answer that is an error.
    fn count(&self, reply: Reply) -> Reply {
        if reply.status().is_client_error() || reply.status().is_server_error() {
            self.entrance.tally().refuse(reply.status());
        }
        reply
    }
}

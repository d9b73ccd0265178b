//! A panic in one of the engine's threads: a fault of the engine itself, caught where the thread can go on.
//!
//! Nothing on the wire and no use of the API leads to one, as far as we know; this is for what we do not know. While
//! a thread is [watched](Watch), what its panics say is kept for who catches them, and not printed: it is told once,
//! by who knows what it has cost. That may be later, and behind other panics, where somebody else catches them first, as
//! tokio does for its tasks: each is found again by its message. The hook that does so is this library's own: an addon has a standard library to
//! itself, and so its panics.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io::{Write, stderr};
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind, set_hook, take_hook};
use std::process::abort;
use std::sync::Once;

/// Bytes of a message at most: it is for a line of a log.
const MESSAGE_BYTES: usize = 1_000;

/// Panics of a thread of which is kept what they said, until somebody asks. Of more than that, at one time, the places
/// of the oldest are not known.
const KEPT: usize = 64;

/// Where a panic was that is not kept.
const UNKNOWN: &str = "an unknown place";

/// What a panic said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Panic {
    /// Its message.
    pub message: String,
    /// File, line and column.
    pub place: String,
}

thread_local! {
    static WATCHES: Cell<u32> = const { Cell::new(0) };
    /// In the order in which they came.
    static SAID: RefCell<VecDeque<Panic>> = const { RefCell::new(VecDeque::new()) };
}

impl Panic {
    /// Runs `body`. It may leave what it changes half done: what the caller uses of that afterwards is for him to
    /// put in order.
    ///
    /// # Errors
    ///
    /// What its panic said.
    pub fn catch<T>(body: impl FnOnce() -> T) -> Result<T, Self> {
        let _watch = Watch::begin();
        catch_unwind(AssertUnwindSafe(body)).map_err(|payload| {
            Self::told(payload.as_ref(), |said, message| said.iter().rposition(|panic| panic.message == message))
        })
    }

    /// Ends the process, and says why: this panic came while another one was recovered from. There is nobody left to go
    /// on with the thread's work, and a process that stops to serve without a word is worse than one that ends.
    pub fn abort(&self) -> ! {
        // There is nobody to tell that it cannot be told.
        _ = writeln!(stderr(), "tidewire ends after a panic inside of another: {} ({})", self.message, self.place);
        abort()
    }

    /// What a panic of this thread said, whose payload somebody else has caught, if it was watched; else what the payload
    /// says. Of two that said the same it is the first one.
    pub fn of(payload: &(dyn Any + Send)) -> Self {
        Self::told(payload, |said, message| said.iter().position(|panic| panic.message == message))
    }

    fn told(payload: &(dyn Any + Send), find: impl FnOnce(&VecDeque<Self>, &str) -> Option<usize>) -> Self {
        let message = message(payload);
        let place = SAID.with_borrow_mut(|said| {
            let found = find(said, &message)?;
            said.remove(found).map(|panic| panic.place)
        });
        Self { message, place: place.unwrap_or_else(|| UNKNOWN.to_owned()) }
    }
}

/// Keeps a thread's panics from being printed, while it lives on that thread.
pub struct Watch(());

impl Watch {
    /// From now on.
    pub fn begin() -> Self {
        static HOOK: Once = Once::new();
        HOOK.call_once(|| {
            let print = take_hook();
            set_hook(Box::new(move |panic| if WATCHES.get() > 0 { keep(panic) } else { print(panic) }));
        });
        WATCHES.set(WATCHES.get() + 1);
        Self(())
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        WATCHES.set(WATCHES.get() - 1);
    }
}

fn keep(panic: &PanicHookInfo<'_>) {
    let place = panic.location().map_or_else(|| UNKNOWN.to_owned(), ToString::to_string);
    let panic = Panic { message: message(panic.payload()), place };
    SAID.with_borrow_mut(|said| {
        if said.len() == KEPT {
            said.pop_front();
        }
        said.push_back(panic);
    });
}

/// What a payload says, as it is kept.
fn message(payload: &(dyn Any + Send)) -> String {
    let said = said(payload);
    let end = (0..=said.len().min(MESSAGE_BYTES)).rfind(|end| said.is_char_boundary(*end)).unwrap_or_default();
    said[..end].to_owned()
}

fn said(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("a panic without a message")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_caught_with_what_it_said_and_where() {
        let line = line!() + 1;
        let panic = Panic::catch(|| panic!("number {}", 7)).unwrap_err();
        assert_eq!(panic.message, "number 7");
        assert!(panic.place.contains(&format!("panic.rs:{line}:")), "{}", panic.place);
        assert_eq!(Panic::catch(|| 8), Ok(8));
    }

    /// A panic that somebody else catches, and its payload; in a line of its own.
    macro_rules! caught {
        ($message:expr) => {
            (catch_unwind(|| panic!("{}", $message)).unwrap_err(), format!("panic.rs:{}:", line!()))
        };
    }

    #[test]
    fn several_panics_that_others_catch_have_a_place_each() {
        let _watch = Watch::begin();
        let first = caught!("one");
        let second = caught!("another");
        let third = caught!("one");
        let own = Panic::catch(|| panic!("one")).unwrap_err();
        assert!(own.place.contains(&format!("panic.rs:{}:", line!() - 1)), "{}", own.place);
        // Who asks later, or for a later one first, gets that all the same.
        for ((payload, place), message) in [(second, "another"), (first, "one"), (third, "one")] {
            let panic = Panic::of(payload.as_ref());
            assert_eq!(panic.message, message);
            assert!(panic.place.contains(&place), "{} {place}", panic.place);
        }
        assert!(SAID.with_borrow(VecDeque::is_empty));
    }

    #[test]
    fn panics_that_nobody_asks_for_are_bounded() {
        let _watch = Watch::begin();
        let (oldest, _) = caught!("the oldest");
        let (next, place) = caught!("the next");
        (1..KEPT).for_each(|number| drop(caught!(number)));
        assert_eq!(Panic::of(oldest.as_ref()), Panic { message: "the oldest".to_owned(), place: UNKNOWN.to_owned() });
        assert!(Panic::of(next.as_ref()).place.contains(&place));
        assert_eq!(SAID.with_borrow(VecDeque::len), KEPT - 1);
    }

    #[test]
    fn a_long_message_is_cut_between_characters() {
        let panic = Panic::catch(|| panic!("x{}", "ä".repeat(MESSAGE_BYTES))).unwrap_err();
        assert_eq!(panic.message.len(), MESSAGE_BYTES - 1);
    }
}

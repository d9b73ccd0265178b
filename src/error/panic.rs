//! A panic in one of the engine's threads: a fault of the engine itself, caught where the thread can go on.
//!
//! Nothing on the wire and no use of the API leads to one, as far as we know; this is for what we do not know. While
//! a thread is [watched](Watch), what its panics say is kept for who catches them, and not printed: it is told once,
//! by who knows what it has cost. The hook that does so is this library's own: an addon has a standard library to
//! itself, and so its panics.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::io::{Write, stderr};
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind, set_hook, take_hook};
use std::process::abort;
use std::sync::Once;

/// Bytes of a message at most: it is for a line of a log.
const MESSAGE_BYTES: usize = 1_000;

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
    static LATEST: RefCell<Option<Panic>> = const { RefCell::new(None) };
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
        catch_unwind(AssertUnwindSafe(body)).map_err(|payload| Self::latest(payload.as_ref()))
    }

    /// Ends the process, and says why: this panic came while another one was recovered from. There is nobody left to go
    /// on with the thread's work, and a process that stops to serve without a word is worse than one that ends.
    pub fn abort(&self) -> ! {
        // There is nobody to tell that it cannot be told.
        _ = writeln!(stderr(), "tidewire ends after a panic inside of another: {} ({})", self.message, self.place);
        abort()
    }

    /// What the latest panic of this thread said, if it was watched; else what its payload says.
    pub fn latest(payload: &(dyn Any + Send)) -> Self {
        LATEST
            .take()
            .unwrap_or_else(|| Self { message: said(payload).to_owned(), place: "an unknown place".to_owned() })
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
    let said = said(panic.payload());
    let end = (0..=said.len().min(MESSAGE_BYTES)).rfind(|end| said.is_char_boundary(*end)).unwrap_or_default();
    let message = said[..end].to_owned();
    let place = panic.location().map_or_else(|| "an unknown place".to_owned(), ToString::to_string);
    LATEST.set(Some(Panic { message, place }));
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

    #[test]
    fn a_long_message_is_cut_between_characters() {
        let panic = Panic::catch(|| panic!("x{}", "ä".repeat(MESSAGE_BYTES))).unwrap_err();
        assert_eq!(panic.message.len(), MESSAGE_BYTES - 1);
    }
}

//! The bell of a JavaScript thread: a raw threadsafe function, rung only when the thread sleeps.
//!
//! The function's handle lies behind a mutex. Whoever takes it out (the App that ends, or the
//! environment's cleanup hook) does so on the JavaScript thread; from then on a ring does nothing.
//! Unguarded, a call that meets the end of a worker thread aborts Node 20 and 22.

use std::ffi::c_void;
use std::ptr;
use std::sync::{Arc, Mutex, PoisonError};

use napi::bindgen_prelude::{Function, JsValue, Unknown};
use napi::{Env, Error, Result, Status, sys};

use crate::bridge::Doorbell;

/// Wakes one JavaScript thread.
pub struct Bell {
    doorbell: Doorbell,
    function: Mutex<Option<Handle>>,
}

struct Handle(sys::napi_threadsafe_function);

// SAFETY: Node-API documents the handle as usable from any thread while it is not released; the
// mutex around it keeps the release apart from the calls.
#[allow(unsafe_code)]
unsafe impl Send for Handle {}

#[allow(unsafe_code)]
impl Bell {
    /// A bell that calls `wake`, without arguments, on the JavaScript thread. It keeps the process
    /// alive until it is [taken down](Bell::take_down).
    pub fn hang(env: &Env, wake: &Function<'_, (), ()>) -> Result<Arc<Self>> {
        let bell = Arc::new(Self { doorbell: Doorbell::asleep(), function: Mutex::default() });
        let context = Arc::into_raw(bell.clone()).cast_mut().cast::<c_void>();
        let name = env.create_string("tidewire")?;
        let mut function = ptr::null_mut();
        // SAFETY: `env`, the function and the name are live values of this thread; `context` is a
        // reference count that `release_context` gives back when Node-API finalizes the function.
        let status = unsafe {
            sys::napi_create_threadsafe_function(
                env.raw(),
                wake.value().value,
                ptr::null_mut(),
                name.value().value,
                0,
                1,
                context,
                Some(release_context),
                context,
                Some(call_javascript),
                &raw mut function,
            )
        };
        if status != sys::Status::napi_ok {
            // SAFETY: Node-API did not take the context.
            drop(unsafe { Arc::from_raw(context.cast::<Self>()) });
            return Err(Error::new(Status::from(status), "the threadsafe function cannot be made"));
        }
        *bell.function.lock().unwrap_or_else(PoisonError::into_inner) = Some(Handle(function));
        Ok(bell)
    }

    /// Wakes the JavaScript thread if it sleeps. Any thread.
    pub fn ring(&self) {
        self.doorbell.ring(|| {
            if let Some(Handle(function)) = &*self.function.lock().unwrap_or_else(PoisonError::into_inner) {
                // SAFETY: the handle is not released while it is in the mutex, which is held. The
                // queue has no bound, so the call does not block.
                unsafe {
                    sys::napi_call_threadsafe_function(
                        *function,
                        ptr::null_mut(),
                        sys::ThreadsafeFunctionCallMode::nonblocking,
                    )
                };
            }
        });
    }

    /// JavaScript has taken all there was. `false`: it was rung meanwhile, and must look again.
    pub fn rest(&self) -> bool {
        let asleep = self.doorbell.sleep();
        if !asleep {
            self.doorbell.answer();
        }
        asleep
    }

    /// Ends the bell: no ring reaches JavaScript any more. The JavaScript thread.
    pub fn take_down(&self) {
        let taken = self.function.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(Handle(function)) = taken {
            // SAFETY: the handle was taken out of the mutex, so nobody else uses or releases it.
            unsafe { sys::napi_release_threadsafe_function(function, sys::ThreadsafeFunctionReleaseMode::abort) };
        }
    }
}

/// Called by Node-API on the JavaScript thread after a ring.
#[allow(unsafe_code)]
unsafe extern "C" fn call_javascript(
    env: sys::napi_env,
    wake: sys::napi_value,
    context: *mut c_void,
    _data: *mut c_void,
) {
    if env.is_null() || wake.is_null() {
        return;
    }
    // SAFETY: the context is the reference count made in `Bell::hang`, given back only after the last call.
    let bell = unsafe { &*context.cast::<Bell>() };
    bell.doorbell.answer();
    let mut undefined = ptr::null_mut();
    // SAFETY: Node-API calls this on the environment's thread, with a handle scope open.
    let status = unsafe {
        sys::napi_get_undefined(env, &raw mut undefined);
        sys::napi_call_function(env, undefined, wake, 0, ptr::null(), ptr::null_mut())
    };
    if status == sys::Status::napi_pending_exception {
        // SAFETY: as above; the exception is there.
        unsafe {
            let mut exception = ptr::null_mut();
            let mut kind = sys::ValueType::napi_null;
            sys::napi_get_and_clear_last_exception(env, &raw mut exception);
            sys::napi_typeof(env, exception, &raw mut kind);
            // Deno has null where a fatal exception has ended the call, and would tell of it in place of that one.
            if kind != sys::ValueType::napi_null {
                sys::napi_fatal_exception(env, exception);
            }
        }
    }
}

/// Called by Node-API when the function is gone.
#[allow(unsafe_code)]
unsafe extern "C" fn release_context(_env: sys::napi_env, context: *mut c_void, _hint: *mut c_void) {
    // SAFETY: the one reference count that `Bell::hang` made for the function.
    drop(unsafe { Arc::from_raw(context.cast::<Bell>()) });
}

/// Hands a handler's exception to `uncaughtException`, as if it had left a callback of Node's own.
#[allow(unsafe_code)]
pub fn report(env: &Env, exception: &Unknown<'_>) {
    // SAFETY: a live value of this thread's environment. When the process has no such handler, the
    // call does not return.
    unsafe { sys::napi_fatal_exception(env.raw(), exception.value().value) };
}

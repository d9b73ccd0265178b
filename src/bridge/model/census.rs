//! The count that keeps the process alive: the last one out is noticed, whatever comes in meanwhile.

use loom::thread;

use super::{JavaScript, explore};
use crate::bridge::Census;

#[test]
fn javascript_hears_that_nobody_is_left() {
    explore(3, || {
        let js = JavaScript::asleep();
        let census = Census::new({
            let js = js.clone();
            move || js.ring()
        });
        let present = census.enter();
        let threads = [
            thread::spawn(move || drop(present)),
            thread::spawn({
                let census = census.clone();
                move || {
                    census.enter().forget();
                    census.leave();
                }
            }),
        ];
        // It may hear so while somebody enters again, and then again; but it does not wait in vain.
        js.run(|| census.is_vacant());
        for thread in threads {
            thread.join().unwrap();
        }
        assert!(census.is_vacant());
    });
}

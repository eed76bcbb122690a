//! Messages from the control side to a worker.
//!
//! A message is a closure in a box. The worker runs it and puts the empty box back, so that it is
//! made and freed on the control side; the worker neither locks nor allocates.

use crate::error::{Error, Result};
use crossbeam_queue::ArrayQueue;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Messages that can wait at a time.
const SLOTS: usize = 16;

pub(super) trait Message<T>: Send {
    fn run(&mut self, target: &mut T);
}

struct Call<F, R> {
    work: Option<F>,
    result: Arc<ArrayQueue<R>>,
}

impl<T, R: Send, F: FnOnce(&mut T) -> R + Send> Message<T> for Call<F, R> {
    fn run(&mut self, target: &mut T) {
        if let Some(work) = self.work.take() {
            // There is room for one result, and this is the one.
            drop(self.result.push(work(target)));
        }
    }
}

pub(super) struct Mailbox<T> {
    waiting: ArrayQueue<Box<dyn Message<T>>>,
    done: ArrayQueue<Box<dyn Message<T>>>,
    /// Whether something was put into `waiting` since the worker looked there: all it reads in most rounds.
    posted: AtomicBool,
    open: AtomicBool,
}

impl<T> Mailbox<T> {
    pub(super) fn new() -> Self {
        // Twice the room for empty boxes: those of a full mailbox fit beside as many uncollected.
        let (waiting, done) = (ArrayQueue::new(SLOTS), ArrayQueue::new(SLOTS * 2));
        Mailbox { waiting, done, posted: AtomicBool::new(false), open: AtomicBool::new(true) }
    }

    /// On the worker: runs what waits.
    #[inline]
    pub(super) fn serve(&self, target: &mut T) {
        if self.posted.load(Ordering::Relaxed) {
            self.serve_waiting(target);
        }
    }

    #[cold]
    fn serve_waiting(&self, target: &mut T) {
        // Before they are taken out: what comes later sets it again.
        self.posted.swap(false, Ordering::SeqCst);
        while let Some(mut message) = self.waiting.pop() {
            message.run(target);
            if let Err(message) = self.done.push(message) {
                drop(message);
            }
        }
    }

    /// On the worker, when it has stopped: nothing is taken any more.
    pub(super) fn close(&self) {
        self.open.store(false, Ordering::SeqCst);
        while self.waiting.pop().is_some() {}
    }

    /// On the control side: has the worker run `work` between two batches, and waits for it.
    pub(super) fn call<R: Send + 'static>(&self, work: impl FnOnce(&mut T) -> R + Send + 'static) -> Result<R> {
        let result = Arc::new(ArrayQueue::new(1));
        let mut message: Box<dyn Message<T>> = Box::new(Call { work: Some(work), result: result.clone() });
        while self.open.load(Ordering::SeqCst) {
            match self.waiting.push(message) {
                Ok(()) => {
                    self.posted.store(true, Ordering::SeqCst);
                    return self.wait_for(&result);
                }
                Err(back) => message = back,
            }
            std::thread::sleep(Duration::from_micros(100));
        }
        Err(Error::Stopped)
    }

    fn wait_for<R>(&self, result: &Arc<ArrayQueue<R>>) -> Result<R> {
        loop {
            if let Some(result) = result.pop() {
                while self.done.pop().is_some() {}
                return Ok(result);
            }
            if !self.open.load(Ordering::SeqCst) {
                // It may have run between the two looks.
                self.close();
                return result.pop().ok_or(Error::Stopped);
            }
            std::thread::sleep(Duration::from_micros(50));
        }
    }
}

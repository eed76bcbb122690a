//! What a stream does besides its mode: packets are looked at, worked on by software where the device cannot, and
//! measured.

use super::observe::Observer;
use crate::soft::Rx;
use crate::verbose::Verbose;
use iogate::pipeline::Description;
use iogate::prelude::*;

/// A mode with its surroundings.
pub(crate) struct Surrounded {
    mode: Box<dyn Stage>,
    /// Whether the mode makes packets of its own.
    makes: bool,
    verbose: Verbose,
    /// RX port and queue.
    place: (u16, u16),
    observer: Option<Box<Observer>>,
    /// What software does to packets first, if anything.
    soft: Option<Box<Rx>>,
    /// Whether the mode is all there is to do: nothing to measure, to do in software or to make. Looked at in each
    /// round, in place of the three.
    bare: bool,
}

impl Surrounded {
    /// `makes`: whether the mode makes packets of its own.
    pub(crate) fn new(mode: Box<dyn Stage>, makes: bool, verbose: Verbose, place: (u16, u16)) -> Self {
        Surrounded { mode, makes, verbose, place, observer: None, soft: None, bare: !makes }
    }

    /// Measures from now on, or no more. What measured before is given back.
    pub(super) fn observe(&mut self, observer: Option<Box<Observer>>) -> Option<Box<Observer>> {
        let before = std::mem::replace(&mut self.observer, observer);
        self.note_bare();
        before
    }

    /// Has software do something else to packets from now on, or nothing. What it did before is given back.
    pub(super) fn soften(&mut self, soft: Option<Box<Rx>>) -> Option<Box<Rx>> {
        let before = std::mem::replace(&mut self.soft, soft);
        self.note_bare();
        before
    }

    fn note_bare(&mut self) {
        self.bare = self.observer.is_none() && self.soft.is_none() && !self.makes;
    }

    /// Works on packets that came from the device when the mode is not all there is to do.
    #[inline(never)]
    fn receive(&mut self, batch: &mut Batch, cx: &mut Context) {
        if let Some(soft) = &mut self.soft {
            soft.receive(batch, cx);
        }
        if !batch.is_empty() {
            self.work(batch, cx);
        }
    }

    /// Takes packets that other streams gave this one, and makes some.
    #[inline(never)]
    fn begin(&mut self, batch: &mut Batch, cx: &mut Context) {
        if let Some(observer) = &mut self.observer {
            observer.begin();
        }
        if let Some(soft) = &mut self.soft {
            soft.take(batch, cx);
            if !batch.is_empty() {
                self.work(batch, cx);
            }
        }
        if self.makes {
            self.mode.generate(batch, cx);
        }
        if let Some(observer) = &mut self.observer {
            observer.done();
        }
    }

    #[inline(never)]
    fn end(&mut self) {
        if let Some(observer) = &mut self.observer {
            observer.end();
        }
    }

    /// Works on packets that are the stream's.
    fn work(&mut self, batch: &mut Batch, cx: &mut Context) {
        self.verbose.received(&self.place, batch);
        if let Some(observer) = &mut self.observer {
            observer.received(batch);
        }
        self.mode.run(batch, cx);
        if let Some(observer) = &mut self.observer {
            observer.done();
        }
    }
}

impl Stage for Surrounded {
    #[inline]
    fn run(&mut self, batch: &mut Batch, cx: &mut Context) {
        if !self.bare {
            return self.receive(batch, cx);
        }
        self.verbose.received(&self.place, batch);
        self.mode.run(batch, cx);
    }

    #[inline]
    fn generate(&mut self, batch: &mut Batch, cx: &mut Context) {
        if !self.bare {
            self.begin(batch, cx);
        }
    }

    #[inline]
    fn flush(&mut self, cx: &mut Context) {
        self.mode.flush(cx);
        if !self.bare {
            self.end();
        }
    }

    fn drain(&mut self, batch: &mut Batch, cx: &mut Context) {
        self.mode.drain(batch, cx);
    }

    fn finish(&mut self) {
        self.mode.finish();
    }

    fn name(&self) -> &'static str {
        self.mode.name()
    }

    fn describe(&self, description: &mut Description) {
        self.mode.describe(description);
    }
}

//! A capture of what comes back, as pcapng.
//!
//! Workers hand frames over without waiting, by a queue of fixed length; a thread writes them. What does not fit into the
//! queue, or is beyond the limit, is counted and not captured.

use anyhow::{Context as _, Result};
use crossbeam_queue::ArrayQueue;
use iogate::prelude::*;
use iogate::telemetry::{cycles, cycles_per_second};
use pcap_file::DataLink;
use pcap_file::pcapng::PcapNgWriter;
use pcap_file::pcapng::blocks::enhanced_packet::EnhancedPacketBlock;
use pcap_file::pcapng::blocks::interface_description::{InterfaceDescriptionBlock, InterfaceDescriptionOption};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Frames that may wait for the writer.
pub const WAITING: usize = 4096;

/// Where a receiver puts frames that are to be captured. Cheap to clone.
#[derive(Clone)]
pub struct Tap {
    shared: Arc<Shared>,
}

struct Shared {
    waiting: ArrayQueue<(Mbuf, u64)>,
    /// How many frames may still be captured.
    left: AtomicU64,
    missed: AtomicU64,
    done: AtomicBool,
}

impl Tap {
    /// Takes a batch, as far as there is room; the rest is used up.
    #[inline]
    pub(crate) fn take(&mut self, batch: &mut Batch, now: u64, cx: &mut Context) {
        let wanted = batch.len() as u64;
        let shared = &self.shared;
        // Workers share the limit; what one takes too much is given back.
        let left = shared.left.load(Ordering::Relaxed);
        if left == 0 {
            shared.missed.fetch_add(wanted, Ordering::Relaxed);
            return cx.consume_all(batch);
        }
        let mut taken = 0;
        for (packet, ()) in batch.drain() {
            let packet = match taken < left {
                true => shared.waiting.push((packet, now)).err().map(|(packet, _)| packet),
                false => Some(packet),
            };
            match packet {
                None => taken += 1,
                Some(packet) => cx.consume(packet),
            }
        }
        cx.handed_over(taken);
        shared.left.fetch_sub(taken.min(left), Ordering::Relaxed);
        shared.missed.fetch_add(wanted - taken, Ordering::Relaxed);
    }
}

/// A capture file that is being written.
pub struct Capture {
    shared: Arc<Shared>,
    writer: JoinHandle<Result<u64>>,
}

/// What is in a capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Captured {
    /// Frames in the file.
    pub frames: u64,
    /// Frames that came and are not in it.
    pub missed: u64,
}

impl Capture {
    /// Begins a file for at most so many frames.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn begin(file: &Path, most: u64) -> Result<Self> {
        let writer = Writer::begin(file)?;
        let shared = Arc::new(Shared {
            waiting: ArrayQueue::new(WAITING),
            left: AtomicU64::new(most),
            missed: AtomicU64::default(),
            done: AtomicBool::default(),
        });
        let from = shared.clone();
        let thread = std::thread::Builder::new().name("capture".to_owned());
        let writer = thread.spawn(move || drain(writer, &from)).context("cannot make a thread for the capture")?;
        Ok(Capture { shared, writer })
    }

    /// Where receivers put frames.
    pub fn tap(&self) -> Tap {
        Tap { shared: self.shared.clone() }
    }

    /// Writes what waits and closes the file.
    ///
    /// # Errors
    /// When it could not be written.
    pub fn finish(self) -> Result<Captured> {
        self.shared.done.store(true, Ordering::Release);
        let written = self.writer.join().unwrap_or_else(|_| Err(anyhow::anyhow!("the thread of the capture panicked")));
        let frames = written?;
        Ok(Captured { frames, missed: self.shared.missed.load(Ordering::Relaxed) })
    }
}

/// Turns ticks into the time of day.
#[derive(Clone, Copy)]
struct Epoch {
    ticks: u64,
    time: Duration,
    seconds_per_tick: f64,
}

impl Epoch {
    fn now() -> Self {
        let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Epoch { ticks: cycles(), time, seconds_per_tick: 1.0 / cycles_per_second().max(1) as f64 }
    }

    fn at(&self, ticks: u64) -> Duration {
        let seconds = ticks.abs_diff(self.ticks) as f64 * self.seconds_per_tick;
        let apart = Duration::from_secs_f64(seconds);
        if ticks < self.ticks { self.time.saturating_sub(apart) } else { self.time + apart }
    }
}

/// Writes a pcapng file of Ethernet frames.
pub struct Writer {
    out: PcapNgWriter<BufWriter<File>>,
    file: String,
}

impl Writer {
    /// Begins a file.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn begin(file: &Path) -> Result<Self> {
        let name = file.display().to_string();
        let cannot = || format!("cannot write the capture {name}");
        let out = BufWriter::new(File::create(file).with_context(cannot)?);
        let mut out = PcapNgWriter::new(out).with_context(cannot)?;
        let mut interface = InterfaceDescriptionBlock::new(DataLink::ETHERNET, 0);
        // Time stamps in nanoseconds.
        interface.options.push(InterfaceDescriptionOption::IfTsResol(9));
        out.write_pcapng_block(interface).with_context(cannot)?;
        Ok(Writer { out, file: name })
    }

    /// Adds a frame, of a moment after 1970.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&mut self, frame: &[u8], at: Duration) -> Result<()> {
        let block = EnhancedPacketBlock {
            interface_id: 0,
            timestamp: at,
            original_len: frame.len() as u32,
            data: frame.into(),
            options: Vec::new(),
        };
        self.out.write_pcapng_block(block).with_context(|| format!("cannot write the capture {}", self.file))?;
        Ok(())
    }

    /// Writes the rest.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn finish(self) -> Result<()> {
        self.out.into_inner().flush().with_context(|| format!("cannot write the capture {}", self.file))
    }
}

/// Writes what workers hand over until they are done; returns how many frames that were.
fn drain(mut writer: Writer, from: &Shared) -> Result<u64> {
    let epoch = Epoch::now();
    let mut frames = 0;
    let mut written = Ok(());
    loop {
        // Before the queue is looked at: what was put in before it was set is seen.
        let done = from.done.load(Ordering::Acquire);
        while let Some((packet, ticks)) = from.waiting.pop() {
            // After an error frames are still taken, so that their buffers go home.
            if written.is_ok() {
                let whole: Vec<u8> = packet.segment_data().flatten().copied().collect();
                written = writer.write(&whole, epoch.at(ticks));
                frames += u64::from(written.is_ok());
            }
        }
        if done {
            break;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    written.and_then(|()| writer.finish()).map(|()| frames)
}

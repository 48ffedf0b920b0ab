//! What waits to be written to one stream.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// Bounded in bytes: a peer that does not read loses its stream, and nobody waits for it (D1). Of a
/// stream that is over it swallows everything (D2).
pub(crate) struct Outbox {
    waiting: RefCell<VecDeque<Vec<u8>>>,
    bytes: Cell<usize>,
    limit: usize,
    changed: Notify,
    is_finishing: Cell<bool>,
    /// Cancelled when the stream is over, for whatever reason.
    pub end: CancellationToken,
}

impl Outbox {
    pub fn new(limit: usize) -> Self {
        Self {
            waiting: RefCell::default(),
            bytes: Cell::new(0),
            limit,
            changed: Notify::new(),
            is_finishing: Cell::new(false),
            end: CancellationToken::new(),
        }
    }

    pub fn push(&self, bytes: Vec<u8>) {
        if self.end.is_cancelled() || bytes.is_empty() {
            return;
        }
        let waiting = self.bytes.get() + bytes.len();
        if waiting > self.limit {
            return self.cut();
        }
        self.bytes.set(waiting);
        self.waiting.borrow_mut().push_back(bytes);
        self.changed.notify_one();
    }

    /// The next message to write; `None` once all is written of a stream that finishes.
    pub async fn next(&self) -> Option<Vec<u8>> {
        loop {
            let next = self.waiting.borrow_mut().pop_front();
            if let Some(bytes) = next {
                // What is being written still waits.
                return Some(bytes);
            }
            if self.is_finishing.get() {
                return None;
            }
            self.changed.notified().await;
        }
    }

    /// So many bytes have left.
    pub fn written(&self, bytes: usize) {
        self.bytes.set(self.bytes.get().saturating_sub(bytes));
    }

    /// The stream ends as soon as what waits is written.
    pub fn finish(&self) {
        self.is_finishing.set(true);
        self.changed.notify_one();
    }

    /// The stream ends now.
    pub fn cut(&self) {
        self.end.cancel();
        self.waiting.borrow_mut().clear();
        self.bytes.set(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_that_does_not_read_is_cut_off_and_further_sends_are_swallowed() {
        let outbox = Outbox::new(10);
        outbox.push(vec![0; 6]);
        outbox.push(vec![0; 4]);
        assert!(!outbox.end.is_cancelled());
        outbox.written(6);
        outbox.push(vec![0; 6]);
        assert!(!outbox.end.is_cancelled());

        outbox.push(vec![0; 1]);

        assert!(outbox.end.is_cancelled());
        outbox.push(vec![0; 1]);
        assert!(outbox.waiting.borrow().is_empty());
    }
}

//! Nonces that carry their own proof, and the counts that each was used with.
//!
//! A challenge costs nothing to remember: time and number of the nonce are signed with a key that
//! only this incarnation knows. Only a nonce that somebody *proved* to know a password with has an
//! entry here, so strangers cannot fill the table.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// After it a client is told `stale=true` and goes on with a new one, without asking its user.
const LIFE: Duration = Duration::from_secs(300);
/// Nonces in use at once; past it all of them turn stale together.
const MAX_USED: usize = 65_536;
/// Bytes of the key: a block of SHA-256.
pub(super) const KEY: usize = 64;
/// Bytes of time and number, and of the signature that is kept of the HMAC's 32.
const STAMP: usize = 12;
const SIGNATURE: usize = 16;
/// Counts behind the highest that may still come, once each: UDP changes their order.
const WINDOW: u32 = 64;

/// What a nonce is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    Good,
    /// Ours once, too old now.
    Stale,
    /// Not made here.
    Foreign,
}

pub(super) struct Nonces {
    key: [u8; KEY],
    begun: Instant,
    /// Those made before it are stale.
    valid_from: Instant,
    made: u32,
    used: HashMap<String, Counts>,
}

/// The highest count and, one bit each, which of the 64 up to it came.
#[derive(Clone, Copy, Debug)]
struct Counts {
    made_at: Instant,
    highest: u32,
    seen: u64,
}

impl Nonces {
    pub fn new(key: [u8; KEY], now: Instant) -> Self {
        Self { key, begun: now, valid_from: now, made: 0, used: HashMap::new() }
    }

    pub fn make(&mut self, now: Instant) -> String {
        self.made = self.made.wrapping_add(1);
        let ms = now.saturating_duration_since(self.begun).as_millis() as u64;
        let mut bytes = [0; STAMP + SIGNATURE];
        for (to, from) in
            bytes.iter_mut().zip(ms.to_be_bytes().iter().chain(&self.made.to_be_bytes()))
        {
            *to = *from;
        }
        let signature = bytes.get(..STAMP).map(|stamp| self.mac(stamp).finalize().into_bytes());
        for (to, from) in bytes.iter_mut().skip(STAMP).zip(signature.iter().flatten()) {
            *to = *from;
        }
        URL_SAFE_NO_PAD.encode(bytes)
    }

    pub fn judge(&self, nonce: &str, now: Instant) -> Standing {
        match self.made_at(nonce) {
            None => Standing::Foreign,
            Some(at) if at < self.valid_from => Standing::Stale,
            Some(at) if now.saturating_duration_since(at) > LIFE => Standing::Stale,
            Some(_) => Standing::Good,
        }
    }

    /// Whether this count is new for this nonce, which is remembered (RFC 7616 §3.4.6). Only for a
    /// good nonce and a right response.
    pub fn spend(&mut self, nonce: &str, count: u32, now: Instant) -> bool {
        let Some(made_at) = self.made_at(nonce) else { return false };
        if self.used.len() >= MAX_USED && !self.used.contains_key(nonce) {
            self.used.retain(|_, counts| now.saturating_duration_since(counts.made_at) <= LIFE);
            if self.used.len() >= MAX_USED {
                // What is forgotten could be played again, so none of it is good any more.
                self.used.clear();
                self.valid_from = now;
                return false;
            }
        }
        let fresh = Counts { made_at, highest: 0, seen: 0 };
        self.used.entry(nonce.to_owned()).or_insert(fresh).take(count)
    }

    fn made_at(&self, nonce: &str) -> Option<Instant> {
        let bytes = URL_SAFE_NO_PAD.decode(nonce).ok()?;
        let (stamp, signature) = bytes.split_at_checked(STAMP)?;
        if signature.len() != SIGNATURE {
            return None;
        }
        self.mac(stamp).verify_truncated_left(signature).ok()?;
        let ms = stamp.get(..8)?.try_into().map(u64::from_be_bytes).ok()?;
        self.begun.checked_add(Duration::from_millis(ms))
    }

    fn mac(&self, stamp: &[u8]) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new(&self.key.into());
        mac.update(stamp);
        mac
    }
}

impl Counts {
    fn take(&mut self, count: u32) -> bool {
        if count == 0 {
            return false;
        }
        if count > self.highest {
            let step = count - self.highest;
            self.seen = self.seen.checked_shl(step).unwrap_or(0) | 1;
            self.highest = count;
            return true;
        }
        let back = self.highest - count;
        let bit = 1_u64.checked_shl(back).unwrap_or(0);
        let is_new = back < WINDOW && self.seen & bit == 0;
        self.seen |= bit;
        is_new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(now: Instant, seconds: u64) -> Instant {
        now + Duration::from_secs(seconds)
    }

    #[test]
    fn a_nonce_is_good_for_five_minutes_and_nobody_else_can_make_one() {
        let now = Instant::now();
        let mut nonces = Nonces::new([7; KEY], now);
        let mut others = Nonces::new([8; KEY], now);
        let nonce = nonces.make(after(now, 10));

        assert_eq!(nonces.judge(&nonce, after(now, 310)), Standing::Good);
        assert_eq!(nonces.judge(&nonce, after(now, 311)), Standing::Stale);
        assert_ne!(nonce, nonces.make(after(now, 10)));
        let forged = nonce.replacen(&nonce[2..3], if &nonce[2..3] == "A" { "B" } else { "A" }, 1);
        for foreign in [others.make(now), forged, String::new(), "x".repeat(4_000), nonce + "A"] {
            assert_eq!(nonces.judge(&foreign, now), Standing::Foreign, "{foreign}");
        }
    }

    #[test]
    fn each_count_is_taken_once_in_whatever_order_it_comes() {
        let now = Instant::now();
        let mut nonces = Nonces::new([7; KEY], now);
        let nonce = nonces.make(now);
        let mut spend = |count| nonces.spend(&nonce, count, now);

        // D5: beyond 9 and beyond 255, as hexadecimal counts go.
        assert!([1, 3, 2, 9, 0x0a, 0x10, 0x100].map(&mut spend).iter().all(|taken| *taken));
        assert!(![0, 1, 0x10, 0x100, 0x100 - 64].map(&mut spend).iter().any(|taken| *taken));
        assert!([0x100 - 63, u32::MAX].map(&mut spend).iter().all(|taken| *taken));
        assert!(!spend(u32::MAX));
        let other = nonces.make(now);
        assert!(nonces.spend(&other, 1, now));
    }

    #[test]
    fn a_full_table_forgets_the_old_ones_or_makes_all_of_them_stale() {
        let now = Instant::now();
        let mut nonces = Nonces::new([7; KEY], now);
        let first = nonces.make(now);
        assert!(nonces.spend(&first, 1, now));
        let later = after(now, 200);
        for _ in 1..MAX_USED {
            let nonce = nonces.make(later);
            assert!(nonces.spend(&nonce, 1, later));
        }
        assert_eq!(nonces.used.len(), MAX_USED);

        let end = after(now, 301);
        let nonce = nonces.make(end);
        assert!(nonces.spend(&nonce, 1, end));
        assert_eq!(nonces.used.len(), MAX_USED);
        let nonce = nonces.make(end);
        let full = end + Duration::from_millis(2);
        assert!(!nonces.spend(&nonce, 1, full));
        assert!(nonces.used.is_empty());
        assert_eq!(nonces.judge(&nonce, full), Standing::Stale);
        let next = nonces.make(after(full, 1));
        assert!(nonces.spend(&next, 1, after(full, 1)));
    }
}

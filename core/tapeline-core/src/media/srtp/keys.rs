//! Suites and master keys, as SDES names and carries them (RFC 4568 §6, RFC 7714 §14.2).

use std::fmt;

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use base64::engine::{DecodePaddingMode, general_purpose};

const KEY: usize = 16;
/// Of AES-CM; that of AES-GCM is 12 and stands at the front.
const SALT: usize = 14;
/// Some peers leave the padding out.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What protects a stream. Master keys have 128 bits in all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suite {
    /// AES_CM_128_HMAC_SHA1_80 (RFC 4568 §6.2.1).
    AesCm80,
    /// AES_CM_128_HMAC_SHA1_32 (RFC 4568 §6.2.2); its SRTCP has the tag of 80 bits.
    AesCm32,
    /// AEAD_AES_128_GCM (RFC 7714 §12).
    AesGcm,
}

impl Suite {
    /// The order of our own offers.
    pub const ALL: [Self; 3] = [Self::AesGcm, Self::AesCm80, Self::AesCm32];

    pub fn name(self) -> &'static str {
        match self {
            Self::AesCm80 => "AES_CM_128_HMAC_SHA1_80",
            Self::AesCm32 => "AES_CM_128_HMAC_SHA1_32",
            Self::AesGcm => "AEAD_AES_128_GCM",
        }
    }

    /// `None`: not one of ours.
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|suite| suite.name() == name)
    }

    pub fn salt_bytes(self) -> usize {
        match self {
            Self::AesCm80 | Self::AesCm32 => SALT,
            Self::AesGcm => 12,
        }
    }

    /// Behind the payload of SRTP.
    pub fn tag_bytes(self) -> usize {
        match self {
            Self::AesCm80 => 10,
            Self::AesCm32 => 4,
            Self::AesGcm => 16,
        }
    }
}

/// One direction's secret. Never shown: its `Debug` names the suite alone.
#[derive(Clone, PartialEq, Eq)]
pub struct MasterKey {
    suite: Suite,
    key: [u8; KEY],
    /// Zeros behind a shorter one, as RFC 7714 §11 wants it.
    salt: [u8; SALT],
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MasterKey({}, withheld)", self.suite.name())
    }
}

/// The system gives no random numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoRandomness;

impl fmt::Display for NoRandomness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the system gives no random numbers for an SRTP key")
    }
}

impl std::error::Error for NoRandomness {}

impl MasterKey {
    /// From the system's cryptographic source.
    pub fn generate(suite: Suite) -> Result<Self, NoRandomness> {
        let mut bytes = [0; KEY + SALT];
        getrandom::fill(&mut bytes).map_err(|_| NoRandomness)?;
        let used = bytes.get(..KEY + suite.salt_bytes()).unwrap_or_default();
        Self::from_bytes(suite, used).ok_or(NoRandomness)
    }

    /// Key and salt one behind the other; `None` when they are not as long as the suite wants.
    pub fn from_bytes(suite: Suite, bytes: &[u8]) -> Option<Self> {
        let (key, salt) = bytes.split_first_chunk::<KEY>()?;
        if salt.len() != suite.salt_bytes() {
            return None;
        }
        let mut master = Self { suite, key: *key, salt: [0; SALT] };
        for (place, byte) in master.salt.iter_mut().zip(salt) {
            *place = *byte;
        }
        Some(master)
    }

    /// What follows `inline:` (RFC 4568 §6.1), without lifetime and MKI.
    pub fn from_base64(suite: Suite, text: &str) -> Option<Self> {
        // Longer text cannot be a key; decoding it would only cost.
        if text.len() > 2 * (KEY + SALT) {
            return None;
        }
        Self::from_bytes(suite, &LENIENT.decode(text).ok()?)
    }

    pub fn to_base64(&self) -> String {
        let mut bytes = self.key.to_vec();
        bytes.extend(self.salt.iter().take(self.suite.salt_bytes()));
        general_purpose::STANDARD.encode(bytes)
    }

    pub fn suite(&self) -> Suite {
        self.suite
    }

    pub(super) fn key(&self) -> &[u8; KEY] {
        &self.key
    }

    pub(super) fn salt(&self) -> &[u8; SALT] {
        &self.salt
    }
}

/// What offer and answer agreed on: each side chooses the key that it protects with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SrtpKeys {
    /// Of the crypto line (RFC 4568 §4.1), the same in offer and answer.
    pub tag: u32,
    pub ours: MasterKey,
    pub theirs: MasterKey,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_survives_its_text() {
        for suite in Suite::ALL {
            let key = MasterKey::generate(suite).unwrap();
            assert_eq!(MasterKey::from_base64(suite, &key.to_base64()), Some(key.clone()));
            let bare = key.to_base64().trim_end_matches('=').to_owned();
            assert_eq!(MasterKey::from_base64(suite, &bare), Some(key));
            assert_eq!(Suite::of(suite.name()), Some(suite));
        }
        assert_ne!(MasterKey::generate(Suite::AesGcm), MasterKey::generate(Suite::AesGcm));
    }

    #[test]
    fn a_key_of_another_length_is_none() {
        for length in [0, 16, 27, 29, 31, 64, 4_000] {
            let text = general_purpose::STANDARD.encode(vec![1; length]);
            assert_eq!(MasterKey::from_base64(Suite::AesCm80, &text), None, "{length}");
        }
        assert_eq!(MasterKey::from_base64(Suite::AesCm80, "!"), None);
        assert_eq!(Suite::of("F8_128_HMAC_SHA1_80"), None);
    }

    #[test]
    fn a_key_is_not_shown() {
        let bytes: Vec<u8> = (200..230).collect();
        let ours = MasterKey::from_bytes(Suite::AesCm80, &bytes).unwrap();
        let keys = SrtpKeys { tag: 1, ours: ours.clone(), theirs: ours };
        let shown = format!("{keys:?} {keys:#?}");
        assert!(shown.contains("withheld"));
        for byte in 200..230 {
            assert!(!shown.contains(&byte.to_string()), "{shown}");
        }
    }
}

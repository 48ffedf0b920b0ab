//! One direction's session keys and what they do to a packet whose index is known.
//!
//! ```text
//! AES-CM   RTP   header │ encrypted payload │ tag over all of it and the roll-over counter
//!          RTCP  8 bytes │ encrypted rest │ E and index │ tag over all of it
//! AES-GCM  RTP   header │ encrypted payload │ tag
//!          RTCP  8 bytes │ encrypted rest │ tag │ E and index
//! ```

use aes::Aes128;
use aes::cipher::{InnerIvInit, KeyInit, StreamCipher};
use aes_gcm::Aes128Gcm;
use aes_gcm::aead::AeadInOut;
use aes_gcm::aead::inout::InOutBuf;
use hmac::{Hmac, Mac};
use sha1::Sha1;

use crate::media::srtp::derive::{self, Label, derive};
use crate::media::srtp::keys::{MasterKey, Suite};

/// An RTCP packet's first header word and its SSRC stay readable.
pub(super) const RTCP_HEADER: usize = 8;
/// Set in the word behind an SRTCP packet: it is encrypted.
pub(super) const ENCRYPTED: u32 = 1 << 31;
/// Index and flag of SRTCP.
pub(super) const RTCP_WORD: usize = 4;
const RTCP_CM_TAG: usize = 10;
const GCM_TAG: usize = 16;

/// The tag is wrong: not one bit of the packet has been touched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Forged;

enum Keys {
    Cm { cipher: Aes128, authentication: Hmac<Sha1>, salt: [u8; 14] },
    Gcm { cipher: Aes128Gcm, salt: [u8; 12] },
}

/// Made off the tick; what it does to packets allocates nothing.
pub(super) struct SessionKeys {
    suite: Suite,
    rtp: Keys,
    rtcp: Keys,
}

impl SessionKeys {
    pub fn new(master: &MasterKey) -> Self {
        use Label::{RtcpAuthentication, RtcpKey, RtcpSalt, RtpAuthentication, RtpKey, RtpSalt};
        Self {
            suite: master.suite(),
            rtp: keys(master, RtpKey, RtpAuthentication, RtpSalt),
            rtcp: keys(master, RtcpKey, RtcpAuthentication, RtcpSalt),
        }
    }

    pub fn suite(&self) -> Suite {
        self.suite
    }

    /// Protects `packet`, whose last bytes are room for the tag.
    pub fn protect_rtp(&self, packet: &mut [u8], header: usize, index: RtpIndex) -> Option<()> {
        let tag_bytes = self.suite.tag_bytes();
        let (plain, tag) = packet.split_at_mut_checked(packet.len().checked_sub(tag_bytes)?)?;
        let (header, payload) = plain.split_at_mut_checked(header)?;
        let made = match &self.rtp {
            Keys::Cm { cipher, authentication, salt } => {
                apply(cipher, &index.cm_iv(salt), payload);
                let mac = authentication.clone().chain_update(header).chain_update(payload);
                let mac = mac.chain_update(index.roll_over.to_be_bytes()).finalize();
                return write(tag, mac.as_bytes());
            }
            Keys::Gcm { cipher, salt } => cipher
                .encrypt_inout_detached(&index.gcm_iv(salt).into(), header, InOutBuf::from(payload))
                .ok()?,
        };
        write(tag, &made)
    }

    /// Opens what lies between header and tag.
    pub fn open_rtp(
        &self,
        packet: &mut [u8],
        header: usize,
        index: RtpIndex,
    ) -> Result<(), Forged> {
        let end = packet.len().checked_sub(self.suite.tag_bytes()).ok_or(Forged)?;
        let (body, tag) = packet.split_at_mut_checked(end).ok_or(Forged)?;
        let (header, payload) = body.split_at_mut_checked(header).ok_or(Forged)?;
        match &self.rtp {
            Keys::Cm { cipher, authentication, salt } => {
                let mac = authentication.clone().chain_update(header).chain_update(&payload);
                let mac = mac.chain_update(index.roll_over.to_be_bytes());
                mac.verify_truncated_left(tag).map_err(|_| Forged)?;
                apply(cipher, &index.cm_iv(salt), payload);
                Ok(())
            }
            Keys::Gcm { cipher, salt } => {
                let tag: &[u8; GCM_TAG] = (&*tag).try_into().map_err(|_| Forged)?;
                let (iv, payload) = (index.gcm_iv(salt).into(), InOutBuf::from(payload));
                cipher.decrypt_inout_detached(&iv, header, payload, tag.into()).map_err(|_| Forged)
            }
        }
    }

    /// Bytes that an RTCP packet grows by.
    pub fn rtcp_growth(&self) -> usize {
        RTCP_WORD + self.rtcp_tag_bytes()
    }

    fn rtcp_tag_bytes(&self) -> usize {
        match self.rtcp {
            Keys::Cm { .. } => RTCP_CM_TAG,
            Keys::Gcm { .. } => GCM_TAG,
        }
    }

    /// Where the word with the index is read in a packet of so many bytes.
    pub fn rtcp_word_at(&self, length: usize) -> Option<usize> {
        let behind = match self.rtcp {
            Keys::Cm { .. } => RTCP_CM_TAG,
            Keys::Gcm { .. } => 0,
        };
        length.checked_sub(RTCP_WORD + behind)
    }

    /// Protects `packet`, whose last bytes are room for tag and word.
    pub fn protect_rtcp(&self, packet: &mut [u8], ssrc: u32, index: u32) -> Option<()> {
        let word = (ENCRYPTED | index).to_be_bytes();
        let end = packet.len().checked_sub(self.rtcp_growth())?;
        let (plain, rest) = packet.split_at_mut_checked(end)?;
        let (header, payload) = plain.split_at_mut_checked(RTCP_HEADER)?;
        match &self.rtcp {
            Keys::Cm { cipher, authentication, salt } => {
                let (place, tag) = rest.split_at_mut_checked(RTCP_WORD)?;
                apply(cipher, &rtcp_index(ssrc, index).cm_iv(salt), payload);
                write(place, &word)?;
                let mac = authentication.clone().chain_update(header).chain_update(payload);
                write(tag, mac.chain_update(word).finalize().as_bytes())
            }
            Keys::Gcm { cipher, salt } => {
                let (tag, place) = rest.split_at_mut_checked(GCM_TAG)?;
                let iv = gcm_rtcp_iv(salt, ssrc, index).into();
                let aad = associated(header, word);
                let made =
                    cipher.encrypt_inout_detached(&iv, &aad, InOutBuf::from(payload)).ok()?;
                write(place, &word)?;
                write(tag, &made)
            }
        }
    }

    /// Opens a packet whose word holds `index` and the flag; returns the plain length.
    pub fn open_rtcp(&self, packet: &mut [u8], ssrc: u32, index: u32) -> Result<usize, Forged> {
        let word = (ENCRYPTED | index).to_be_bytes();
        let end = packet.len().checked_sub(self.rtcp_growth()).ok_or(Forged)?;
        let (body, rest) = packet.split_at_mut_checked(end).ok_or(Forged)?;
        let (header, payload) = body.split_at_mut_checked(RTCP_HEADER).ok_or(Forged)?;
        match &self.rtcp {
            Keys::Cm { cipher, authentication, salt } => {
                let tag = rest.get(RTCP_WORD..).ok_or(Forged)?;
                let mac = authentication.clone().chain_update(header).chain_update(&payload);
                mac.chain_update(word).verify_truncated_left(tag).map_err(|_| Forged)?;
                apply(cipher, &rtcp_index(ssrc, index).cm_iv(salt), payload);
            }
            Keys::Gcm { cipher, salt } => {
                let tag = rest.first_chunk::<GCM_TAG>().ok_or(Forged)?;
                let iv = gcm_rtcp_iv(salt, ssrc, index).into();
                let aad = associated(header, word);
                cipher
                    .decrypt_inout_detached(&iv, &aad, InOutBuf::from(payload), tag.into())
                    .map_err(|_| Forged)?;
            }
        }
        Ok(end)
    }
}

fn keys(master: &MasterKey, key: Label, authentication: Label, salt: Label) -> Keys {
    let key = derive::<16>(master, key);
    match master.suite() {
        Suite::AesCm80 | Suite::AesCm32 => Keys::Cm {
            cipher: derive::cipher(&key),
            authentication: keyed(&derive::<20>(master, authentication)),
            salt: derive(master, salt),
        },
        Suite::AesGcm => {
            Keys::Gcm { cipher: Aes128Gcm::new(&key.into()), salt: derive(master, salt) }
        }
    }
}

fn keyed(key: &[u8; 20]) -> Hmac<Sha1> {
    let mut block = [0; 64];
    for (place, byte) in block.iter_mut().zip(key) {
        *place = *byte;
    }
    // HMAC fills a shorter key with zeros to a block (RFC 2104 §2): the same key, and no error.
    <Hmac<Sha1> as KeyInit>::new(&block.into())
}

/// SSRC, roll-over counter and sequence number: what makes a packet's key stream its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RtpIndex {
    pub ssrc: u32,
    pub roll_over: u32,
    pub sequence: u16,
}

impl RtpIndex {
    /// 48 bits.
    pub fn number(self) -> u64 {
        u64::from(self.roll_over) << 16 | u64::from(self.sequence)
    }

    /// RFC 3711 §4.1.1.
    fn cm_iv(self, salt: &[u8; 14]) -> [u8; 16] {
        let value = u128::from(self.ssrc) << 64 | u128::from(self.number()) << 16;
        let mut iv = [0; 16];
        for (place, byte) in iv.iter_mut().zip(salt) {
            *place = *byte;
        }
        (u128::from_be_bytes(iv) ^ value).to_be_bytes()
    }

    /// RFC 7714 §8.1.
    fn gcm_iv(self, salt: &[u8; 12]) -> [u8; 12] {
        salted(salt, u128::from(self.ssrc) << 48 | u128::from(self.number()))
    }
}

/// SRTCP counts in 31 bits, which stand where RTP's index does.
fn rtcp_index(ssrc: u32, index: u32) -> RtpIndex {
    RtpIndex { ssrc, roll_over: index >> 16, sequence: index as u16 }
}

/// RFC 7714 §9.1.
fn gcm_rtcp_iv(salt: &[u8; 12], ssrc: u32, index: u32) -> [u8; 12] {
    salted(salt, u128::from(ssrc) << 48 | u128::from(index))
}

fn salted(salt: &[u8; 12], value: u128) -> [u8; 12] {
    let mut iv = *salt;
    for (place, byte) in iv.iter_mut().zip(value.to_be_bytes().into_iter().skip(4)) {
        *place ^= byte;
    }
    iv
}

/// RFC 7714 §9.2.
fn associated(header: &[u8], word: [u8; 4]) -> [u8; RTCP_HEADER + RTCP_WORD] {
    let mut aad = [0; RTCP_HEADER + RTCP_WORD];
    for (place, byte) in aad.iter_mut().zip(header.iter().chain(&word)) {
        *place = *byte;
    }
    aad
}

fn apply(cipher: &Aes128, iv: &[u8; 16], payload: &mut [u8]) {
    let core = ctr::CtrCore::inner_iv_init(cipher, iv.into());
    ctr::Ctr128BE::from_core(core).apply_keystream(payload);
}

/// As much of `bytes` as `place` has room for.
fn write(place: &mut [u8], bytes: &[u8]) -> Option<()> {
    place.copy_from_slice(bytes.get(..place.len())?);
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::srtp::tests::hex;

    /// RFC 7714 §16 and §17 give session keys; master keys do not come into it.
    fn session_of_the_rfc() -> SessionKeys {
        let key: [u8; 16] = hex("000102030405060708090a0b0c0d0e0f").try_into().unwrap();
        let salt: [u8; 12] = hex("517569642070726f2071756f").try_into().unwrap();
        let keys = || Keys::Gcm { cipher: Aes128Gcm::new(&key.into()), salt };
        SessionKeys { suite: Suite::AesGcm, rtp: keys(), rtcp: keys() }
    }

    #[test]
    fn gcm_protects_rtp_as_the_rfc_does() {
        let plain = hex("8040f17b8041f8d35501a0b2 47616c6c696120657374206f6d6e6973
                         20646976697361 20696e207061727465732074726573");
        let protected = hex("8040f17b8041f8d35501a0b2 f24de3a3fb34de6cacba861c9d7e4bca
                             be633bd50d294e6f42a5f47a51c7d19b36de3adf8833
                             899d7f27beb16a9152cf765ee4390cce");
        let index = RtpIndex { ssrc: 0x5501_a0b2, roll_over: 0, sequence: 0xf17b };
        let session = session_of_the_rfc();

        let mut packet = plain.clone();
        packet.resize(plain.len() + 16, 0);
        session.protect_rtp(&mut packet, 12, index).unwrap();
        assert_eq!(packet, protected);

        session.open_rtp(&mut packet, 12, index).unwrap();
        assert_eq!(packet[..plain.len()], plain);
    }

    #[test]
    fn gcm_protects_rtcp_as_the_rfc_does() {
        let plain = hex("81c8000d4d617273 4e5450314e545032525450200000042a0000e930
                         4c756e61deadbeefdeadbeefdeadbeefdeadbeefdeadbeef");
        let protected = hex("81c8000d4d617273 63e94885dcdab67ca727d7662f6b7e997ff5c0f7
                             6c06f32dc676a5f1730d6fda4ce09b4686303ded0bb9275b
                             c84aa45896cf4d2fc5abf87245d9eade 800005d4");
        let session = session_of_the_rfc();

        let mut packet = plain.clone();
        packet.resize(plain.len() + session.rtcp_growth(), 0);
        session.protect_rtcp(&mut packet, 0x4d61_7273, 0x5d4).unwrap();
        assert_eq!(packet, protected);

        let length = session.open_rtcp(&mut packet, 0x4d61_7273, 0x5d4).unwrap();
        assert_eq!(packet[..length], plain);
    }

    #[test]
    fn a_forged_packet_is_not_touched() {
        let index = RtpIndex { ssrc: 7, roll_over: 3, sequence: 9 };
        for suite in Suite::ALL {
            let session = SessionKeys::new(&MasterKey::generate(suite).unwrap());
            let mut packet = vec![0x5a; 12 + 160 + suite.tag_bytes()];
            session.protect_rtp(&mut packet, 12, index).unwrap();
            for bit in 0..packet.len() * 8 {
                let mut forged = packet.clone();
                forged[bit / 8] ^= 1 << (bit % 8);
                let copy = forged.clone();
                assert_eq!(session.open_rtp(&mut forged, 12, index), Err(Forged), "{bit}");
                assert_eq!(forged, copy);
            }
            session.open_rtp(&mut packet, 12, index).unwrap();
            assert!(packet[..12 + 160].iter().all(|byte| *byte == 0x5a));
        }
    }
}

//! Session keys out of a master key: the AES-CM PRF of RFC 3711 §4.3 with a key derivation rate of 0.

use aes::Aes128;
use aes::cipher::{KeyInit, KeyIvInit, StreamCipher};

use crate::media::srtp::keys::MasterKey;

/// What a derived value is for (RFC 3711 §4.3.2).
#[derive(Clone, Copy, Debug)]
pub(super) enum Label {
    RtpKey = 0,
    RtpAuthentication = 1,
    RtpSalt = 2,
    RtcpKey = 3,
    RtcpAuthentication = 4,
    RtcpSalt = 5,
}

/// `N` bytes of the key stream that master key, salt and label give.
pub(super) fn derive<const N: usize>(master: &MasterKey, label: Label) -> [u8; N] {
    let mut block = [0; 16];
    for (place, byte) in block.iter_mut().zip(master.salt()) {
        *place = *byte;
    }
    // The label stands 48 bits above the salt's end.
    if let Some(byte) = block.get_mut(7) {
        *byte ^= label as u8;
    }
    let mut out = [0; N];
    ctr::Ctr128BE::<Aes128>::new(master.key().into(), &block.into()).apply_keystream(&mut out);
    out
}

/// The block cipher of a derived key.
pub(super) fn cipher(key: &[u8; 16]) -> Aes128 {
    Aes128::new(key.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::srtp::keys::Suite;
    use crate::media::srtp::tests::hex;

    /// RFC 3711 appendix B.3.
    #[test]
    fn session_keys_are_those_of_the_rfc() {
        let bytes = hex("E1F97A0D3E018BE0D64FA32C06DE4139 0EC675AD498AFEEBB6960B3AABE6");
        let master = MasterKey::from_bytes(Suite::AesCm80, &bytes).unwrap();

        assert_eq!(
            derive::<16>(&master, Label::RtpKey).to_vec(),
            hex("C61E7A93744F39EE10734AFE3FF7A087")
        );
        assert_eq!(
            derive::<14>(&master, Label::RtpSalt).to_vec(),
            hex("30CBBC08863D8C85D49DB34A9AE1")
        );
        assert_eq!(
            derive::<94>(&master, Label::RtpAuthentication).to_vec(),
            hex("CEBE321F6FF7716B6FD4AB49AF256A15 6D38BAA48F0A0ACF3C34E2359E6CDBCE
                 E049646C43D9327AD175578EF7227098 6371C10C9A369AC2F94A8C5FBCDDDC25
                 6D6E919A48B610EF17C2041E47403576 6B68642C59BBFC2F34DB60DBDFB2")
        );
    }

    /// RFC 3711 appendix B.2: the key stream itself.
    #[test]
    fn the_key_stream_is_that_of_the_rfc() {
        let key: [u8; 16] = hex("2B7E151628AED2A6ABF7158809CF4F3C").try_into().unwrap();
        let iv: [u8; 16] = hex("F0F1F2F3F4F5F6F7F8F9FAFBFCFD0000").try_into().unwrap();
        let mut stream = vec![0; 0xff02 * 16];
        ctr::Ctr128BE::<Aes128>::new(&key.into(), &iv.into()).apply_keystream(&mut stream);
        for (block, expected) in [
            (0, "E03EAD0935C95E80E166B16DD92B4EB4"),
            (1, "D23513162B02D0F72A43A2FE4A5F97AB"),
            (2, "41E95B3BB0A2E8DD477901E4FCA894C0"),
            (0xfeff, "EC8CDF7398607CB0F2D21675EA9EA1E4"),
            (0xff00, "362B7C3C6773516318A077D7FC5073AE"),
            (0xff01, "6A2CC3787889374FBEB4C81B17BA6C44"),
        ] {
            assert_eq!(stream[block * 16..][..16].to_vec(), hex(expected), "{block:x}");
        }
    }
}

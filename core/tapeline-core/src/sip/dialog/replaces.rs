//! Which call a `Replaces` means (RFC 3891 §3).

use crate::sip::dialog::record::DialogKey;
use crate::sip::wire::parameter;

/// Of one header value: the dialog as its other end knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Replaces {
    pub key: DialogKey,
    pub is_early_only: bool,
}

/// RFC 3891 §6.1: both tags are there, each once.
pub(super) fn parse(value: &str) -> Option<Replaces> {
    let call_id = value.split(';').next()?.trim();
    let tag = |name| parameter(value, name).filter(|tag| !tag.is_empty()).map(str::to_owned);
    let flag = |part: &str| part.trim().eq_ignore_ascii_case("early-only");
    let key = DialogKey {
        call_id: call_id.to_owned(),
        local_tag: tag("to-tag")?,
        remote_tag: tag("from-tag")?,
    };
    let is_early_only = value.split(';').skip(1).any(flag);
    (!call_id.is_empty()).then_some(Replaces { key, is_early_only })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replaces_names_a_dialog() {
        let it = parse("c@1 ;to-tag=ours; from-tag=theirs;early-only").unwrap();
        assert_eq!(it.key.call_id, "c@1");
        assert_eq!((it.key.local_tag.as_str(), it.key.remote_tag.as_str()), ("ours", "theirs"));
        assert!(it.is_early_only);
        for broken in
            ["", "c", "c;to-tag=a", "c;from-tag=b", ";to-tag=a;from-tag=b", "c;to-tag=;from-tag=b"]
        {
            assert_eq!(parse(broken), None, "{broken}");
        }
    }
}

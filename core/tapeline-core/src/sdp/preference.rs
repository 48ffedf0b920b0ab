//! Which codecs a node speaks.

use std::mem::discriminant;

use crate::media::codec::{Codec, Rate};

/// The codecs that may be agreed on, in the order of our own offers; in answers the peer's order
/// decides.
#[derive(Clone, Debug, PartialEq)]
pub struct Preference {
    /// Opus and linear samples at the highest rate allowed.
    order: Vec<Codec>,
}

impl Default for Preference {
    /// All of them, up to 16 kHz.
    fn default() -> Self {
        use Codec::{G722, L16, Opus, Pcma, Pcmu};
        Self { order: vec![Opus(Rate::Wide), G722, Pcmu, Pcma, L16(Rate::Wide)] }
    }
}

impl Preference {
    /// `names` as in `a=rtpmap` without the clock, in any case; `limit` bounds the rate of Opus and
    /// L16. Says what is wrong with them.
    pub fn new(names: &[String], limit: Rate) -> Result<Self, String> {
        let mut order = Vec::new();
        for name in names {
            let codec = match name.to_ascii_lowercase().as_str() {
                "pcmu" => Codec::Pcmu,
                "pcma" => Codec::Pcma,
                "g722" => Codec::G722,
                "l16" => Codec::L16(limit),
                "opus" => Codec::Opus(limit),
                _ => return Err(format!("{name:?} is none of opus, G722, PCMU, PCMA, L16")),
            };
            if order.contains(&codec) {
                return Err(format!("{name:?} is there twice"));
            }
            order.push(codec);
        }
        match order.is_empty() {
            true => Err("at least one codec is needed".into()),
            false => Ok(Self { order }),
        }
    }

    /// Ours of what `wanted` lists, in its order; None when nothing is left.
    pub fn narrowed(&self, wanted: &Self) -> Option<Self> {
        let ours = |theirs: &Codec| self.order.iter().find(|one| is_same_kind(**one, *theirs));
        let order: Vec<Codec> = wanted.order.iter().filter_map(ours).copied().collect();
        (!order.is_empty()).then_some(Self { order })
    }

    /// The codec that we would speak for one of the peer's; `None`: it is not allowed here.
    pub fn settle(&self, theirs: Codec) -> Option<Codec> {
        let allowed = *self.order.iter().find(|ours| is_same_kind(**ours, theirs))?;
        match (allowed, theirs) {
            (Codec::Opus(limit), Codec::Opus(needed)) => Some(Codec::Opus(limit.min(needed))),
            (Codec::L16(limit), Codec::L16(rate)) => (rate <= limit).then_some(theirs),
            _ => Some(theirs),
        }
    }

    /// What our own offers list. Linear samples are for who asks: nobody wants 256 kbit/s unasked.
    pub fn offered(&self) -> impl Iterator<Item = Codec> + Clone {
        let is_linear = |codec: &Codec| matches!(codec, Codec::L16(_));
        let has_other = self.order.iter().any(|codec| !is_linear(codec));
        self.order.iter().copied().filter(move |codec| !has_other || !is_linear(codec))
    }
}

pub fn is_same_kind(one: Codec, other: Codec) -> bool {
    discriminant(&one) == discriminant(&other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use Codec::{G722, L16, Opus, Pcma, Pcmu};
    use Rate::{Full, Narrow, Wide};

    #[test]
    fn a_call_may_have_fewer_codecs_at_the_nodes_rates() {
        let of = |names: &[&str], limit| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            Preference::new(&names, limit).unwrap()
        };
        let node = of(&["opus", "PCMU", "PCMA"], Full);
        let narrowed = node.narrowed(&of(&["PCMA", "G722", "opus"], Wide)).unwrap();
        assert_eq!(narrowed.order, [Pcma, Opus(Full)]);
        assert_eq!(node.narrowed(&of(&["G722"], Wide)), None);
    }

    fn preference(names: &str, limit: Rate) -> Result<Preference, String> {
        let names: Vec<String> = names.split_whitespace().map(str::to_owned).collect();
        Preference::new(&names, limit)
    }

    #[test]
    fn rates_are_bounded() {
        let wide = Preference::default();
        let full = preference("opus L16 G722", Full).unwrap();
        for (theirs, at_16, at_48) in [
            (Opus(Full), Some(Opus(Wide)), Some(Opus(Full))),
            (Opus(Wide), Some(Opus(Wide)), Some(Opus(Wide))),
            (Opus(Narrow), Some(Opus(Narrow)), Some(Opus(Narrow))),
            (L16(Narrow), Some(L16(Narrow)), Some(L16(Narrow))),
            (L16(Full), None, Some(L16(Full))),
            (G722, Some(G722), Some(G722)),
            (Pcma, Some(Pcma), None),
        ] {
            assert_eq!((wide.settle(theirs), full.settle(theirs)), (at_16, at_48), "{theirs:?}");
        }
    }

    #[test]
    fn linear_samples_are_offered_only_by_who_has_nothing_else() {
        let offered = |names| preference(names, Wide).unwrap().offered().collect::<Vec<_>>();
        assert_eq!(offered("L16 pcma OPUS"), [Pcma, Opus(Wide)]);
        assert_eq!(offered("l16"), [L16(Wide)]);
        let all: Vec<_> = Preference::default().offered().collect();
        assert_eq!(all, [Opus(Wide), G722, Pcmu, Pcma]);
    }

    #[test]
    fn wrong_lists_are_named() {
        for (names, expected) in [("PCMU G729", "G729"), ("", "at least"), ("opus Opus", "twice")] {
            let refused = preference(names, Wide).unwrap_err();
            assert!(refused.contains(expected), "{refused}");
        }
    }
}

//! What a leg's task tells the media thread.

use std::sync::Arc;

use crate::boundary::counters::LegStats;
use crate::boundary::event::Event;
use crate::media::command::{Agreement, Direction, LegSetup, MediaCommand};
use crate::media::leg::LegCodec;
use crate::media::ports::PortPair;
use crate::media::srtp::Srtp;
use crate::sdp::{self, LocalDescription, Terms};
use crate::sip::dialog::leg::Leg;

impl Leg {
    /// Sockets, and the media thread told, before the 200 leaves; else status and reason.
    fn prepare_audio(&mut self) -> Result<(), (u16, String)> {
        if !self.stack.gate.borrow().has_room_for_answers() {
            return Err((503, "too many answered calls wait for their ACK".into()));
        }
        let pair = self.stack.config.ports.bind_pair().map_err(|e| (503, e.to_string()))?;
        let address = {
            let peer = self.record.peer.borrow();
            peer.line.address_for(peer.source).ip()
        };
        self.local = Some(LocalDescription::new(address, pair.port, self.stack.random()));
        self.protect_offer();
        match &self.offered {
            None => self.sockets = Some(pair),
            Some(offered) => {
                let agreement = offered.agreed.agreement.clone();
                self.add_media(pair, agreement).map_err(|reason| (500, reason))?;
            }
        }
        Ok(())
    }

    /// Makes the leg's audio ready and writes our description: the answer to the caller's offer, else
    /// an offer of ours.
    pub(super) fn describe(&mut self) -> Result<String, (u16, String)> {
        self.prepare_audio()?;
        let codecs = &self.codecs;
        let local = self.local.as_mut().ok_or((500, "no description of ours".to_owned()))?;
        Ok(match &self.offered {
            Some(offered) => local.answer(&offered.remote, Some(&offered.agreed)),
            None => local.offer(codecs, None),
        })
    }

    pub(super) fn srtp_terms(&self) -> Terms {
        let is_secret = self.record.peer.borrow().line.is_secret();
        self.srtp.terms(is_secret)
    }

    /// Our next offer is SRTP when it is now, must be, or shall be.
    pub(super) fn protect_offer(&mut self) {
        let current = self.agreement.as_ref().and_then(|agreement| agreement.srtp.as_ref());
        let is_plain = self.agreement.is_some() && current.is_none();
        let terms = self.srtp_terms();
        let is_offered = self.offers_srtp && terms == Terms::Either;
        let is_protected = current.is_some() || terms == Terms::Protected || is_offered;
        if let Some(local) = &mut self.local {
            let is_wanted = is_protected && !is_plain;
            local.protect(if is_wanted { sdp::offered_keys(current) } else { Vec::new() });
        }
    }

    fn add_media(&mut self, pair: PortPair, agreement: Agreement) -> Result<(), String> {
        let leg = self.record.leg;
        pair.discard_early();
        let stats = Arc::new(LegStats::default());
        let codec = LegCodec::new(agreement.codec).map_err(|fault| fault.0.to_owned())?;
        let setup = LegSetup {
            leg,
            rtp: pair.rtp,
            rtcp: pair.rtcp,
            agreement: agreement.clone(),
            codec: Some(codec),
            srtp: srtp_of(&agreement),
            stats: stats.clone(),
        };
        let sent = self.stack.media.send(MediaCommand::AddLeg(Box::new(setup)));
        sent.map_err(|_| "the media thread takes no commands".to_owned())?;
        self.record.has_media.set(true);
        self.stack.stats.insert(leg, stats);
        self.agreement = Some(agreement);
        Ok(())
    }

    /// The answer to an offer of ours, in an ACK.
    pub(super) fn take_answer(&mut self, body: &[u8]) -> Result<(), String> {
        let is_ipv6 = self.record.peer.borrow().line.is_ipv6();
        let mut remote = sdp::parse(body).map_err(|error| error.to_string())?;
        let keys = self.local.as_ref().map_or(&[][..], LocalDescription::keys);
        sdp::settle_answer(&mut remote, keys);
        let keep = self.agreement.as_ref().map(|a| a.codec);
        let agreed = sdp::agree(&remote, &self.codecs, is_ipv6, keep)
            .ok_or("no common codec in the answer")?;
        match self.sockets.take() {
            Some(pair) => {
                self.add_media(pair, agreed.agreement)?;
                self.inbox.hand_to_media();
                Ok(())
            }
            None => self.change_media(agreed.agreement),
        }
    }

    /// What a re-INVITE or an answer of the peer changed. An unspecified address (hold as of
    /// RFC 2543) keeps the one we know.
    pub(super) fn change_media(&mut self, mut agreement: Agreement) -> Result<(), String> {
        if let Some(current) = &self.agreement {
            if agreement.remote.ip().is_unspecified() {
                agreement.remote = current.remote;
            }
            if *current == agreement {
                return Ok(());
            }
        }
        let is_same = |current: &Agreement| current.codec == agreement.codec;
        let codec = match self.agreement.as_ref().is_some_and(is_same) {
            true => None,
            false => Some(LegCodec::new(agreement.codec).map_err(|fault| fault.0.to_owned())?),
        };
        let command = MediaCommand::ChangeLeg {
            leg: self.record.leg,
            agreement: Box::new(agreement.clone()),
            codec,
            srtp: srtp_of(&agreement),
        };
        let sent = self.stack.media.send(command);
        sent.map_err(|_| "the media thread takes no commands".to_owned())?;
        self.agreement = Some(agreement);
        Ok(())
    }
}

impl Leg {
    /// Tells what a new offer or answer has made of the call.
    pub(super) fn report_change(&self, before: Option<&Agreement>) {
        let Some(now) = self.agreement.as_ref().filter(|now| before.is_some_and(|it| it != *now))
        else {
            return;
        };
        let is_held = matches!(now.direction, Direction::RecvOnly | Direction::Inactive);
        self.stack.events.send(Event::CallUpdated { leg: self.record.leg, is_held });
    }
}

/// Derives session keys: not on the tick.
fn srtp_of(agreement: &Agreement) -> Option<Box<Srtp>> {
    agreement.srtp.clone().map(|keys| Box::new(Srtp::new(keys)))
}

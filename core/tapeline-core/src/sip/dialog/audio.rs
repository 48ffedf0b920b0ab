//! What a leg's task tells the media thread.

use std::sync::Arc;

use crate::boundary::counters::LegStats;
use crate::media::command::{Agreement, LegSetup, MediaCommand};
use crate::media::ports::PortPair;
use crate::sdp::{self, LocalDescription};
use crate::sip::dialog::leg::Leg;

impl Leg {
    /// Sockets, and the media thread told, before the 200 leaves; else status and reason.
    pub(super) fn prepare_audio(&mut self) -> Result<(), (u16, String)> {
        if !self.stack.gate.borrow().has_room_for_answers() {
            return Err((503, "too many answered calls wait for their ACK".into()));
        }
        let pair = self.stack.config.ports.bind_pair().map_err(|e| (503, e.to_string()))?;
        let address = {
            let peer = self.record.peer.borrow();
            peer.listener.address_for(peer.source).ip()
        };
        self.local = Some(LocalDescription::new(address, pair.port, self.stack.random()));
        match &self.offered {
            None => self.sockets = Some(pair),
            Some(offered) => {
                let agreement = offered.agreed.agreement.clone();
                self.add_media(pair, agreement).map_err(|reason| (500, reason))?;
            }
        }
        Ok(())
    }

    fn add_media(&mut self, pair: PortPair, agreement: Agreement) -> Result<(), String> {
        let leg = self.record.leg;
        pair.discard_early();
        let stats = Arc::new(LegStats::default());
        let setup = LegSetup {
            leg,
            rtp: pair.rtp,
            rtcp: pair.rtcp,
            agreement: agreement.clone(),
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
        let is_ipv6 = self.record.peer.borrow().listener.is_ipv6();
        let remote = sdp::parse(body).map_err(|error| error.to_string())?;
        let keep = self.agreement.as_ref().map(|a| a.codec);
        let agreed = sdp::agree(&remote, is_ipv6, keep).ok_or("no common codec in the answer")?;
        match self.sockets.take() {
            Some(pair) => self.add_media(pair, agreed.agreement),
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
        let command = MediaCommand::ChangeLeg {
            leg: self.record.leg,
            agreement: Box::new(agreement.clone()),
        };
        let sent = self.stack.media.send(command);
        sent.map_err(|_| "the media thread takes no commands".to_owned())?;
        self.agreement = Some(agreement);
        Ok(())
    }
}

//! Commands from the control plane. Each carries an id that `command_done` or `command_failed` answers.

use std::net::IpAddr;

use crate::boundary::dial::Dial;
use crate::boundary::handle::{LegHandle, PlaybackHandle, RecorderHandle, RoomHandle};
use crate::boundary::identity::{Credentials, Locations, Sources};
use crate::boundary::reason::Reason;
use crate::boundary::trunk::{Registration, Watch};
use crate::media::room::participant::{Changes, Settings};
use crate::record::spec::{RecordingSpec, Target};

/// Chosen by the caller, unique while the command is open.
pub type CommandId = u64;

/// What the SIP thread does.
#[derive(Debug)]
pub enum SipCommand {
    /// 180 Ringing.
    Ring { leg: LegHandle },
    /// 200 OK with our SDP; the leg's audio starts. Done when the 200 has left.
    Answer { leg: LegHandle },
    /// As `Answer`, and the leg is in the room before the first packet that the 200 may bring is
    /// read. Done when it is there.
    AnswerInto { leg: LegHandle, room: RoomHandle, settings: Settings },
    /// 183 with our SDP to a ringing caller, reliable where it takes that (RFC 3262): from here on it
    /// hears what is played to the leg. Done when it is sent.
    Progress { leg: LegHandle },
    /// A final response of 300 to 699; the leg is gone afterwards.
    Reject { leg: LegHandle, status: u16, reason: String },
    /// INVITE with our offer. Done when it is on its way; a host that cannot be found ends the leg
    /// instead. Its handle was allocated by the caller and is released when the command fails.
    Dial { leg: LegHandle, call: Box<Dial> },
    /// BYE when answered; before, the fitting final response, or CANCEL when we dialled.
    HangUp { leg: LegHandle },
    /// The same, and the far end is told why.
    HangUpFor { leg: LegHandle, reason: Reason },
    /// 202 to the REFER that `TransferAsked` told of.
    AcceptTransfer { leg: LegHandle },
    /// A final response of 300 to 699 to it.
    RefuseTransfer { leg: LegHandle, status: u16 },
    /// How the call of an accepted transfer goes; a final status ends it.
    ReportTransfer { leg: LegHandle, status: u16 },
    /// Who may call without digest, and how fast.
    SetAccess { access: Access },
    /// Whose digests are taken; the whole table.
    SetCredentials { credentials: Credentials },
    /// Whose requests are known by their address; the whole table.
    SetSources { sources: Sources },
    /// What was registered before a start.
    SetLocations { locations: Locations },
    /// Kept up from now on, in the place of an earlier one of the trunk.
    Register { registration: Box<Registration> },
    /// Taken back.
    Unregister { trunk: String },
    /// Which targets of a trunk are asked whether they live; the whole list.
    Watch { watch: Watch },
    /// Refuse new INVITEs with 503 from now on (true), or take them again.
    SetDraining { draining: bool },
}

/// Admission of SIP requests. A source outside `networks` must be known by its address or prove by
/// digest whose it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Access {
    /// Networks whose requests are accepted without digest.
    pub networks: Vec<Network>,
    /// New requests per second and source; 0: unlimited.
    pub rate_per_source: u32,
    /// Sources that the rate does not concern (loopback by default).
    pub rate_exempt: Vec<Network>,
    /// INVITEs answered with 2xx whose ACK has not come yet, at once, in all.
    pub max_unacknowledged: u32,
}

/// An address block, `10.0.0.0/8`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    pub address: IpAddr,
    pub prefix: u8,
}

impl Network {
    /// `a.b.c.d/n` or a bare address.
    pub fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address.parse().ok()?, Some(prefix.parse::<u8>().ok()?)),
            None => (text.parse::<IpAddr>().ok()?, None),
        };
        let width = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.unwrap_or(width);
        (prefix <= width).then_some(Self { address, prefix })
    }

    pub fn contains(&self, other: IpAddr) -> bool {
        match (self.address, canonical(other)) {
            (IpAddr::V4(ours), IpAddr::V4(theirs)) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.prefix)).unwrap_or(0);
                u32::from(ours) & mask == u32::from(theirs) & mask
            }
            (IpAddr::V6(ours), IpAddr::V6(theirs)) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.prefix)).unwrap_or(0);
                u128::from(ours) & mask == u128::from(theirs) & mask
            }
            _ => false,
        }
    }
}

/// An IPv4 address inside an IPv6 one counts as the IPv4 address.
fn canonical(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(six) => six.to_ipv4_mapped().map_or(address, IpAddr::V4),
        IpAddr::V4(_) => address,
    }
}

/// What the media thread does, at the start of a tick and in the order given.
#[derive(Debug)]
pub enum RoomCommand {
    CreateRoom {
        room: RoomHandle,
        /// The least that it has; its members may raise it.
        rate_hz: u32,
    },
    /// Everyone in it goes back to the private room; its recorders finish (`room closed`).
    CloseRoom {
        room: RoomHandle,
    },
    /// Moves the leg from wherever it is. The settings hold from its first tick in the room on.
    Join {
        leg: LegHandle,
        room: RoomHandle,
        settings: Settings,
    },
    /// Back to the leg's private room; its settings are forgotten.
    Leave {
        leg: LegHandle,
    },
    SetParticipant {
        leg: LegHandle,
        changes: Changes,
    },
    StopRecording {
        recorder: RecorderHandle,
    },
    /// Nothing is recorded until it is resumed; pausing twice is fine.
    PauseRecording {
        recorder: RecorderHandle,
    },
    ResumeRecording {
        recorder: RecorderHandle,
    },
    /// Whether it plays or waits.
    StopPlay {
        playback: PlaybackHandle,
    },
    /// Everything that plays or waits at one target; done also when nothing does.
    StopPlays {
        target: Target,
    },
}

/// Opens the file, then taps the room; done when armed.
#[derive(Debug)]
pub struct StartRecording {
    pub recorder: RecorderHandle,
    pub spec: RecordingSpec,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_hold_their_addresses() {
        let cases = [
            ("127.0.0.0/8", "127.9.9.9", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("0.0.0.0/0", "8.8.8.8", true),
            ("192.0.2.7", "192.0.2.7", true),
            ("192.0.2.7", "192.0.2.8", false),
            ("fc00::/7", "fd12::1", true),
            ("10.0.0.0/8", "::ffff:10.1.2.3", true),
        ];
        for (network, address, inside) in cases {
            let network = Network::parse(network).unwrap();
            assert_eq!(network.contains(address.parse().unwrap()), inside, "{network:?} {address}");
        }
        for bad in ["", "10.0.0.0/33", "host", "10.0.0.0/"] {
            assert_eq!(Network::parse(bad), None, "{bad}");
        }
    }
}

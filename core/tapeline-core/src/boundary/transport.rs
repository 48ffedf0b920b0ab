//! The transports of SIP, as messages, URIs, events and settings name them.

/// What a SIP message travels by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Transport {
    Udp,
    Tcp,
    Tls,
    /// RFC 7118, plain.
    Ws,
    /// RFC 7118 over TLS.
    Wss,
}

impl Transport {
    /// As routes, events and the `transport` parameter of a URI name it; the case of a parameter does
    /// not matter (RFC 3261 §19.1.4).
    pub fn parse(name: &str) -> Option<Self> {
        const ALL: [Transport; 5] =
            [Transport::Udp, Transport::Tcp, Transport::Tls, Transport::Ws, Transport::Wss];
        ALL.into_iter().find(|transport| transport.name().eq_ignore_ascii_case(name))
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Ws => "ws",
            Self::Wss => "wss",
        }
    }

    /// In a Via (RFC 3261 §20.42, RFC 7118 §5.2).
    pub fn via(self) -> &'static str {
        match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
            Self::Tls => "TLS",
            Self::Ws => "WS",
            Self::Wss => "WSS",
        }
    }

    /// For the end of a Contact URI; both WebSockets are `ws` there (RFC 7118 §5.2.4).
    pub fn uri_parameter(self) -> &'static str {
        match self {
            Self::Udp => "",
            Self::Tcp => ";transport=tcp",
            Self::Tls => ";transport=tls",
            Self::Ws | Self::Wss => ";transport=ws",
        }
    }

    /// A stream: nothing is lost on it and nothing repeated.
    pub fn is_reliable(self) -> bool {
        self != Self::Udp
    }

    /// Nobody on the way can read along.
    pub fn is_secret(self) -> bool {
        matches!(self, Self::Tls | Self::Wss)
    }

    /// RFC 3261 §19.1.2, RFC 7118 §5.2.
    pub fn default_port(self) -> u16 {
        match self {
            Self::Udp | Self::Tcp => 5060,
            Self::Tls => 5061,
            Self::Ws => 80,
            Self::Wss => 443,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_in_any_case() {
        for name in ["udp", "tcp", "tls", "ws", "wss"] {
            let transport = Transport::parse(&name.to_uppercase()).unwrap();
            assert_eq!(transport.name(), name);
            assert_eq!(transport.via(), name.to_uppercase());
        }
        assert_eq!(Transport::parse("sctp"), None);
        assert_eq!(Transport::parse(""), None);
    }
}

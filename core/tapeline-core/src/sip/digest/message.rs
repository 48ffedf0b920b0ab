//! Challenges in responses, answers in requests.

use rsipstack::sip::{Header, Request, Response};
use rsipstack::transaction::random_text;

use crate::sip::digest::login::Login;

impl Login {
    /// Takes what a response asks for; false when it asks for nothing or cannot be satisfied.
    pub fn take_response(&mut self, response: &Response) -> bool {
        let status = response.status_code.code();
        let challenges = response.headers.iter().filter_map(|header| match (status, header) {
            (401, Header::WwwAuthenticate(value)) => Some(value.value()),
            (407, Header::ProxyAuthenticate(value)) => Some(value.value()),
            _ => None,
        });
        matches!(status, 401 | 407) && self.take(status, challenges)
    }

    /// The headers that prove it, for a request that is sent next.
    pub fn proofs(&mut self, request: &Request) -> Vec<Header> {
        let (method, uri) = (request.method.to_string(), request.uri.to_string());
        let proofs = self.headers(&method, &uri, &random_text(16));
        proofs.into_iter().map(|(name, value)| Header::Other(name.into(), value)).collect()
    }
}

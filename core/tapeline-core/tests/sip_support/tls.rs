//! Certificates of the tests, and both ends of TLS with them.

use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, StreamOwned,
};
use tapeline_core::sip::TlsFiles;

pub fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tls").join(name)
}

/// Of the node: it trusts the test's authority and asks no phone for a certificate.
pub fn files() -> TlsFiles {
    TlsFiles {
        certificate: file("node.pem"),
        key: file("node.key"),
        client_ca: PathBuf::new(),
        trust: file("ca.pem"),
    }
}

fn certificate(name: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_file(file(name)).unwrap()
}

fn key(name: &str) -> PrivateKeyDer<'static> {
    PrivateKeyDer::from_pem_file(file(name)).unwrap()
}

/// A phone's end; `shows`: the certificate it has itself.
pub fn client(socket: TcpStream, shows: Option<&str>) -> StreamOwned<ClientConnection, TcpStream> {
    let mut roots = RootCertStore::empty();
    roots.add(certificate("ca.pem")).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let config = match shows {
        None => builder.with_no_client_auth(),
        Some(name) => builder
            .with_client_auth_cert(
                vec![certificate(&format!("{name}.pem"))],
                key(&format!("{name}.key")),
            )
            .unwrap(),
    };
    let name = ServerName::try_from("localhost").unwrap();
    StreamOwned::new(ClientConnection::new(Arc::new(config), name).unwrap(), socket)
}

/// A far end's.
pub fn server(socket: TcpStream, shows: &str) -> StreamOwned<ServerConnection, TcpStream> {
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate(&format!("{shows}.pem"))], key(&format!("{shows}.key")))
        .unwrap();
    StreamOwned::new(ServerConnection::new(Arc::new(config)).unwrap(), socket)
}

/// What the node showed of itself.
pub fn shown(stream: &StreamOwned<ClientConnection, TcpStream>) -> Vec<u8> {
    stream.conn.peer_certificates().unwrap()[0].to_vec()
}

pub fn is_of(shown: &[u8], name: &str) -> bool {
    shown == certificate(name).as_ref()
}

//! Certificates: ours, those we trust, and how both are read again while calls go on.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};

use crate::boundary::transport::Transport;

/// Where systems keep the authorities that everybody trusts.
const SYSTEM_ROOTS: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// PEM files; what is empty is not given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsFiles {
    /// Our certificate first, then those between it and its authority.
    pub certificate: PathBuf,
    pub key: PathBuf,
    /// Peers that come by TLS show a certificate of this authority; browsers are not asked.
    pub client_ca: PathBuf,
    /// Whom we call must show a certificate of it; empty: of the system's authorities.
    pub trust: PathBuf,
}

/// TLS 1.2 and 1.3 alone, by *ring*. Streams keep the certificate they began with.
pub(crate) struct Tls {
    files: TlsFiles,
    loaded: Mutex<Option<Servers>>,
    client: Mutex<Option<Arc<ClientConfig>>>,
}

#[derive(Clone)]
struct Servers {
    tls: Arc<ServerConfig>,
    wss: Arc<ServerConfig>,
}

impl Tls {
    /// Reads the files; `is_server`: a certificate is needed, we listen.
    pub fn new(files: TlsFiles, is_server: bool) -> io::Result<Self> {
        if is_server && (is_empty(&files.certificate) || is_empty(&files.key)) {
            return Err(wrong("SIP over TLS or WSS needs a certificate and its key"));
        }
        let tls = Self { files, loaded: Mutex::default(), client: Mutex::default() };
        tls.reload()?;
        Ok(tls)
    }

    /// Reads the files again. When they cannot be used, what was read before stays.
    pub fn reload(&self) -> io::Result<()> {
        if !is_empty(&self.files.certificate) {
            let servers = self.servers()?;
            lock(&self.loaded).replace(servers);
        }
        if !is_empty(&self.files.trust) {
            let client = self.made_client()?;
            lock(&self.client).replace(client);
        } else {
            lock(&self.client).take();
        }
        Ok(())
    }

    /// Of a door.
    pub fn server(&self, transport: Transport) -> Option<Arc<ServerConfig>> {
        let servers = lock(&self.loaded).clone()?;
        Some(if transport == Transport::Wss { servers.wss } else { servers.tls })
    }

    /// Reads files at its first use.
    pub fn client(&self) -> io::Result<Arc<ClientConfig>> {
        let made = lock(&self.client).clone();
        match made {
            Some(client) => Ok(client),
            None => Ok(lock(&self.client).insert(self.made_client()?).clone()),
        }
    }

    fn servers(&self) -> io::Result<Servers> {
        let provider = Arc::new(ring::default_provider());
        let open = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(wrong)?
            .with_no_client_auth()
            .with_single_cert(self.chain()?, self.key()?)
            .map_err(wrong)?;
        let open = Arc::new(open);
        if is_empty(&self.files.client_ca) {
            return Ok(Servers { tls: open.clone(), wss: open });
        }
        let roots = Arc::new(authorities(&self.files.client_ca)?);
        let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider.clone())
            .build()
            .map_err(wrong)?;
        let asking = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(wrong)?
            .with_client_cert_verifier(verifier)
            .with_single_cert(self.chain()?, self.key()?)
            .map_err(wrong)?;
        Ok(Servers { tls: Arc::new(asking), wss: open })
    }

    /// Shows our certificate to those who ask for one.
    fn made_client(&self) -> io::Result<Arc<ClientConfig>> {
        let roots = match is_empty(&self.files.trust) {
            false => authorities(&self.files.trust)?,
            true => system_authorities(),
        };
        let provider: Arc<CryptoProvider> = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(wrong)?
            .with_root_certificates(roots);
        let config = match is_empty(&self.files.certificate) {
            true => builder.with_no_client_auth(),
            false => builder.with_client_auth_cert(self.chain()?, self.key()?).map_err(wrong)?,
        };
        Ok(Arc::new(config))
    }

    fn chain(&self) -> io::Result<Vec<CertificateDer<'static>>> {
        certificates(&self.files.certificate)
    }

    fn key(&self) -> io::Result<PrivateKeyDer<'static>> {
        PrivateKeyDer::from_pem_file(&self.files.key).map_err(|error| of(&self.files.key, error))
    }
}

fn certificates(file: &Path) -> io::Result<Vec<CertificateDer<'static>>> {
    let read = CertificateDer::pem_file_iter(file).map_err(|error| of(file, error))?;
    let chain = read.collect::<Result<Vec<_>, _>>().map_err(|error| of(file, error))?;
    if chain.is_empty() { Err(of(file, "it holds no certificate")) } else { Ok(chain) }
}

fn authorities(file: &Path) -> io::Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(file)? {
        roots.add(certificate).map_err(|error| of(file, error))?;
    }
    Ok(roots)
}

/// Without any of them nobody is trusted; what cannot be read of a bundle is left out.
fn system_authorities() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    let found = SYSTEM_ROOTS.iter().find_map(|file| certificates(Path::new(file)).ok());
    let (_, ignored) = roots.add_parsable_certificates(found.unwrap_or_default());
    if roots.is_empty() || ignored > 0 {
        log::debug!("{} authorities of the system are trusted, {ignored} unreadable", roots.len());
    }
    roots
}

fn is_empty(path: &Path) -> bool {
    path.as_os_str().is_empty()
}

fn of(file: &Path, error: impl std::fmt::Display) -> io::Error {
    wrong(format!("{}: {error}", file.display()))
}

fn wrong(error: impl std::fmt::Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, error.to_string())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tls").join(name)
    }

    #[test]
    fn what_cannot_be_used_is_named_and_changes_nothing() {
        let files = TlsFiles { certificate: file("node.pem"), ..TlsFiles::default() };
        assert!(Tls::new(files.clone(), true).is_err());
        let swapped = TlsFiles { key: file("phone.key"), ..files.clone() };
        assert!(Tls::new(swapped, true).is_err());
        let missing = TlsFiles { key: file("nowhere.key"), ..files.clone() };
        let error = Tls::new(missing, true).err().unwrap().to_string();
        assert!(error.contains("nowhere.key"), "{error}");
        let no_certificate =
            TlsFiles { certificate: file("README.md"), key: file("node.key"), ..files.clone() };
        assert!(Tls::new(no_certificate, true).is_err());

        let folder = std::env::temp_dir().join(format!("tapeline-tls-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let copy = folder.join("node.pem");
        std::fs::copy(file("node.pem"), &copy).unwrap();
        let files = TlsFiles { certificate: copy.clone(), key: file("node.key"), ..files };
        let tls = Tls::new(files, true).unwrap();
        let before = tls.server(Transport::Tls).unwrap();
        std::fs::write(&copy, "broken").unwrap();
        assert!(tls.reload().is_err());
        assert!(Arc::ptr_eq(&before, &tls.server(Transport::Tls).unwrap()));
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn without_files_we_call_and_are_not_called() {
        let tls = Tls::new(TlsFiles::default(), false).unwrap();
        assert!(tls.server(Transport::Tls).is_none());
        assert!(tls.client().is_ok());
    }
}

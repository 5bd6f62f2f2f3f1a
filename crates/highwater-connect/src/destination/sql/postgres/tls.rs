//! Encrypted connections, and whom they believe.

use std::path::PathBuf;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{WebPkiSupportedAlgorithms, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::failure::{Failure, Result};

/// What servers of version 17 and later expect where encryption begins without being asked for.
const PROTOCOL: &[u8] = b"postgresql";

/// What is looked at in the server's certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd)]
pub(super) enum Checks {
    /// Nobody can listen, but the server may be anybody.
    Nothing,
    /// Somebody whom we trust has signed it.
    Chain,
    /// And it is this host's.
    ChainAndName,
}

/// Whom we trust.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Roots {
    /// Whom this machine trusts.
    System,
    /// The certificates in a PEM file.
    File(PathBuf),
}

/// Makes connections with these checks. Reads the certificates; fails with [`FailureKind::Config`](crate::FailureKind::Config) if it
/// can't.
pub(super) fn connector(checks: Checks, roots: &Roots) -> Result<MakeRustlsConnect> {
    let provider = Arc::new(ring::default_provider());
    let trusted = if checks == Checks::Nothing { Vec::new() } else { certificates(roots)? };
    let mut anchors = RootCertStore::empty();
    anchors.add_parsable_certificates(trusted.iter().cloned());
    let verifier =
        Verifier { checks, trusted, anchors, algorithms: provider.signature_verification_algorithms };
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| Failure::permanent("setting up TLS").because(e))?;
    let verifier = Arc::new(verifier);
    let mut config = config.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth();
    config.alpn_protocols = vec![PROTOCOL.to_vec()];
    Ok(MakeRustlsConnect::new(config))
}

fn certificates(roots: &Roots) -> Result<Vec<CertificateDer<'static>>> {
    let path = match roots {
        Roots::File(path) => path,
        Roots::System => {
            let found = rustls_native_certs::load_native_certs();
            if found.certs.is_empty() {
                let text =
                    "this machine trusts nobody; name a file of certificates by sslrootcert in the URL";
                return Err(Failure::config(text));
            }
            return Ok(found.certs);
        }
    };
    let cant = |e| Failure::config(format!("reading the certificates in {}", path.display())).because(e);
    let found: Vec<_> =
        CertificateDer::pem_file_iter(path).map_err(cant)?.collect::<Result<_, _>>().map_err(cant)?;
    if found.is_empty() {
        return Err(Failure::config(format!("{} holds no certificate in PEM", path.display())));
    }
    Ok(found)
}

/// Looks at a server's certificate.
#[derive(Debug)]
struct Verifier {
    checks: Checks,
    /// A server may show one of these itself: that is how a server without an authority is trusted.
    trusted: Vec<CertificateDer<'static>>,
    anchors: RootCertStore,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        shown: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        host: &ServerName<'_>,
        _ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if self.checks >= Checks::Chain && !self.trusted.contains(shown) {
            let parsed = ParsedCertificate::try_from(shown)?;
            let algorithms = self.algorithms.all;
            verify_server_cert_signed_by_trust_anchor(&parsed, &self.anchors, between, now, algorithms)?;
        }
        if self.checks >= Checks::ChainAndName {
            verify_server_name(&ParsedCertificate::try_from(shown)?, host)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        shown: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        if self.checks == Checks::Nothing {
            // Whoever it is may have made the certificate itself, so its signature says nothing.
            return Ok(HandshakeSignatureValid::assertion());
        }
        verify_tls12_signature(message, shown, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        shown: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        if self.checks == Checks::Nothing {
            return Ok(HandshakeSignatureValid::assertion());
        }
        verify_tls13_signature(message, shown, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// Why the two do not come together, if that is the same at every attempt.
pub(super) fn refusal(error: &rustls::Error) -> Option<String> {
    match error {
        rustls::Error::InvalidCertificate(why) => {
            Some(format!("the server's certificate is not accepted: {}", certificate(why)))
        }
        rustls::Error::PeerIncompatible(_) => {
            Some(format!("the server's TLS is too old: {error}; sslmode=disable in the URL does without"))
        }
        _ => None,
    }
}

fn certificate(error: &CertificateError) -> String {
    match error {
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "nobody whom we trust has signed it; sslrootcert in the URL names whom to trust".to_owned()
        }
        CertificateError::NotValidForNameContext { expected, presented } if presented.is_empty() => {
            let host = expected.to_str();
            format!(
                "it has no subjectAltName, so it is not seen to be that of {host}; sslmode=verify-ca does without"
            )
        }
        CertificateError::NotValidForNameContext { expected, presented } => {
            // They come as `DnsName("host")`.
            let name = |name: &String| name.split('"').nth(1).unwrap_or(name).to_owned();
            let names: Vec<String> = presented.iter().map(name).collect();
            format!("it is that of {}, and not of {}", names.join(", "), expected.to_str())
        }
        other => rustls::Error::InvalidCertificate(other.clone()).to_string(),
    }
}

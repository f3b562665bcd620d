//! The certificates of an instance, made with openssl: an authority, one certificate for all servers, one for a client, and an authority
//! that nobody trusts, for tests of refusals.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use super::site::Site;
use crate::run;

/// Elliptic curves, because they take milliseconds where RSA takes seconds.
const NEW_KEY: [&str; 5] = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];

const DAYS: &str = "30";

/// Makes them in the folder `certificates`: `ca.pem`, `other-ca.pem`, `server.pem`, `server.key`, `client.pem`, `client.key`, and for
/// Java `server-store.pem` with key and certificate in one.
pub fn make(site: &Site) -> Result<()> {
    let folder = site.folder().join("certificates");
    std::fs::create_dir(&folder)?;
    authority(&folder, "ca")?;
    authority(&folder, "other-ca")?;
    let for_servers = "subjectAltName=DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n";
    signed(&folder, "server", "localhost", for_servers)?;
    signed(&folder, "client", "millstream", "extendedKeyUsage=clientAuth\n")?;
    let read = |name: &str| std::fs::read_to_string(folder.join(name));
    std::fs::write(folder.join("server-store.pem"), read("server.key")? + &read("server.pem")? + &read("ca.pem")?)?;
    Ok(())
}

fn authority(folder: &Path, name: &str) -> Result<()> {
    let [key, certificate] = [format!("{name}.key"), format!("{name}.pem")];
    let subject = format!("/CN=Millstream test {name}");
    openssl(folder, &["req", "-x509"], &["-days", DAYS, "-subj", &subject, "-keyout", &key, "-out", &certificate])
}

fn signed(folder: &Path, name: &str, subject: &str, extensions: &str) -> Result<()> {
    let [key, request, certificate, config] = ["key", "csr", "pem", "ext"].map(|ending| format!("{name}.{ending}"));
    openssl(folder, &["req"], &["-subj", &format!("/CN={subject}"), "-keyout", &key, "-out", &request])?;
    std::fs::write(folder.join(&config), extensions)?;
    let sign = ["x509", "-req", "-in", &request, "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"];
    let out = ["-days", DAYS, "-extfile", &config, "-out", &certificate];
    run::captured(Command::new("openssl").current_dir(folder).args(sign).args(out))?;
    Ok(())
}

fn openssl(folder: &Path, command: &[&str], rest: &[&str]) -> Result<()> {
    run::captured(Command::new("openssl").current_dir(folder).args(command).args(NEW_KEY).args(rest))?;
    Ok(())
}

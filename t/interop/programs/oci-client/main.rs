// Copyright (C) the ngx_http_oci_module authors
//
// The crate oci-client at work, as programs use it that carry WASM
// components about: each command is one or two calls of its public functions.
//
//   push REF CONFIG:TYPE FILE:TYPE...    attach REF SUBJECT TYPE FILE
//   pull REF FOLDER TYPE...              referrers REF@DIGEST [TYPE]
//   part REF DIGEST OFFSET LENGTH        mount REF FROM DIGEST
//   digest REF      tags REF      exists REF DIGEST
//
// OCI_USER and OCI_WORD log in; OCI_WHOLE=1 pushes a blob by one PUT.
//
// needs: tokio --features macros,rt-multi-thread
// needs: futures-util

use std::env;
use std::error::Error;
use std::fs;
use std::io::Write;

use futures_util::TryStreamExt;
use oci_client::client::{BlobResponse, ClientConfig, ClientProtocol};
use oci_client::client::{Config, ImageLayer};
use oci_client::manifest::{OciDescriptor, OciImageManifest};
use oci_client::secrets::RegistryAuth;
use oci_client::{Client, Reference, RegistryOperation};

type Done = Result<(), Box<dyn Error>>;

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const EMPTY: &str = "application/vnd.oci.empty.v1+json";

struct Session {
    client: Client,
    auth: RegistryAuth,
}

// "FILE:TYPE": what the file holds, and the type

fn content(arg: &str) -> Result<(Vec<u8>, String), Box<dyn Error>> {
    let (file, kind) = arg.rsplit_once(':').ok_or("no FILE:TYPE")?;

    Ok((fs::read(file)?, kind.to_string()))
}

impl Session {
    async fn push(&self, to: &Reference, args: &[String]) -> Done {
        let (data, kind) = content(&args[0])?;
        let config = Config::new(data, kind, None);
        let mut layers = Vec::new();

        for arg in &args[1..] {
            let (data, kind) = content(arg)?;
            layers.push(ImageLayer::new(data, kind, None));
        }

        let done = self
            .client
            .push(to, &layers, config, &self.auth, None)
            .await?;
        println!("{}", done.manifest_url);
        Ok(())
    }

    async fn pull(&self, from: &Reference, args: &[String]) -> Done {
        let types = args[1..].iter().map(|s| s.as_str()).collect();
        let image = self.client.pull(from, &self.auth, types).await?;

        for layer in &image.layers {
            let name = layer.sha256_digest().replace(':', "-");
            fs::write(format!("{}/{}", args[0], name), &layer.data)?;
        }

        println!("{}", image.digest.unwrap_or_default());
        Ok(())
    }

    async fn attach(&self, to: &Reference, args: &[String]) -> Done {
        let subject: Reference = args[0].parse()?;
        let (data, digest) = self
            .client
            .pull_manifest_raw(&subject, &self.auth, &[MANIFEST])
            .await?;
        let kind = args[1].clone();
        let layer = ImageLayer::new(fs::read(&args[2])?, kind.clone(), None);
        let config = Config::new(b"{}".to_vec(), EMPTY.to_string(), None);
        let layers = [layer];
        let mut manifest = OciImageManifest::build(&layers, &config, None);

        manifest.artifact_type = Some(kind);
        manifest.subject = Some(OciDescriptor {
            media_type: MANIFEST.to_string(),
            digest,
            size: data.len() as i64,
            ..Default::default()
        });

        let done = self
            .client
            .push(to, &layers, config, &self.auth, Some(manifest))
            .await?;
        println!("{}", done.manifest_url);
        Ok(())
    }

    async fn referrers(&self, of: &Reference, args: &[String]) -> Done {
        let kind = args.first().map(|s| s.as_str());
        let found = self.client.pull_referrers(of, kind).await?;

        for entry in found.manifests {
            println!("{} {}", entry.digest,
                     entry.artifact_type.unwrap_or_default());
        }

        Ok(())
    }

    async fn part(&self, from: &Reference, args: &[String]) -> Done {
        let (digest, offset, length) = (&args[0], &args[1], &args[2]);
        let answer = self
            .client
            .pull_blob_stream_partial(from, digest.as_str(),
                                      offset.parse()?,
                                      Some(length.parse()?))
            .await?;
        let stream = match answer {
            BlobResponse::Full(_) => return Err("the whole blob".into()),
            BlobResponse::Partial(stream) => stream,
        };
        let parts: Vec<_> = stream.try_collect().await?;

        for part in parts {
            std::io::stdout().write_all(&part)?;
        }

        Ok(())
    }
}

#[tokio::main]
async fn main() -> Done {
    let args: Vec<String> = env::args().skip(1).collect();
    let command = args.first().ok_or("no command")?.as_str();
    let image: Reference = args.get(1).ok_or("no reference")?.parse()?;
    let rest = &args[2..];
    let auth = match (env::var("OCI_USER"), env::var("OCI_WORD")) {
        (Ok(user), Ok(word)) => RegistryAuth::Basic(user, word),
        _ => RegistryAuth::Anonymous,
    };
    let client = Client::new(ClientConfig {
        protocol: ClientProtocol::Http,
        use_monolithic_push: env::var("OCI_WHOLE").is_ok(),
        ..Default::default()
    });
    let pushes = matches!(command, "push" | "attach" | "mount");
    let operation = match pushes {
        true => RegistryOperation::Push,
        false => RegistryOperation::Pull,
    };

    client.auth(&image, &auth, operation).await?;

    let session = Session { client, auth };
    let (client, auth) = (&session.client, &session.auth);

    match command {
        "push" => session.push(&image, rest).await?,
        "pull" => session.pull(&image, rest).await?,
        "attach" => session.attach(&image, rest).await?,
        "referrers" => session.referrers(&image, rest).await?,
        "part" => session.part(&image, rest).await?,
        "mount" => {
            let from: Reference = rest[0].parse()?;
            client.mount_blob(&image, &from, &rest[1]).await?;
        }
        "digest" => {
            println!("{}", client.fetch_manifest_digest(&image, auth).await?);
        }
        "tags" => {
            let found = client.list_tags(&image, auth, None, None).await?;
            println!("{}", found.tags.join("\n"));
        }
        "exists" => {
            println!("{}", client.blob_exists(&image, &rest[0]).await?);
        }
        _ => return Err("no such command".into()),
    }

    Ok(())
}

//! Tests of data sets in archives: an archive is unpacked completely or not at all, and only into its folder.

use super::fetch::{Manner, Server, fetch_set, no_curl};
use super::files::gz;
use md5::{Digest, Md5};
use receptive::data::catalog::{ArchiveSource, SetSpec, Source, Validation};
use receptive::data::{ImageSize, Normalization, cifar};
use std::path::Path;
use tar::{Builder, EntryType, Header};

/// An archive of CIFAR's folder without the files in `but`. `add` can add other entries.
fn archive(but: &[&str], add: impl Fn(&mut Builder<Vec<u8>>)) -> &'static [u8] {
    let mut tar = Builder::new(Vec::new());
    add(&mut tar);
    for name in cifar::BATCHES.iter().chain(&[cifar::META, "readme.html"]).filter(|name| !but.contains(name))
    {
        let mut header = Header::new_gnu();
        header.set_size(3);
        tar.append_data(&mut header, format!("folder/{name}"), &b"abc"[..]).unwrap();
    }
    gz(&tar.into_inner().unwrap()).leak()
}

fn hex(bytes: &[u8]) -> &'static str {
    Md5::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect::<String>().leak()
}

fn set(archive: &[u8]) -> SetSpec {
    SetSpec {
        name: "small",
        about: "",
        source: Source::Cifar(ArchiveSource {
            folders: &["small-bin"],
            url: "http://127.0.0.1:1/never-asked",
            archives: vec![("small.tar.gz", hex(archive))].leak(),
            inside: "folder",
        }),
        size: ImageSize::Fixed([3, 32, 32]),
        flip: true,
        classes: &[],
        mean: &[0.0; 3],
        std: &[1.0; 3],
        normalization: Normalization::Unit,
        augment: receptive::data::Augment::None,
        validation: Validation::Test,
    }
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort_unstable();
    names
}

#[test]
fn an_archive_is_unpacked_into_its_folder() {
    if no_curl() {
        return;
    }
    let archive = archive(&[], |_| ());
    let (server, root) = (Server::start(Manner::Sends(archive)), tempfile::tempdir().unwrap());
    let (result, events) = fetch_set(&set(archive), &server, root.path());
    let folder = result.unwrap();
    assert_eq!(
        (events, names(root.path())),
        (vec!["fetched small.tar.gz".to_owned()], vec!["small-bin".to_owned()])
    );
    let mut expected = [&cifar::BATCHES[..], &[cifar::META]].concat();
    expected.sort_unstable();
    assert_eq!(names(&folder), expected, "the readme is left out");
    assert_eq!(std::fs::read(folder.join("test_batch.bin")).unwrap(), b"abc");
    server.requests();
    let (result, events) = fetch_set(&set(archive), &server, root.path());
    assert_eq!((result.unwrap(), events), (folder, vec!["present small-bin".to_owned()]));
    assert!(server.requests().is_empty());
}

/// A refused archive leaves no folder of the set and writes nothing outside its folder.
#[test]
fn archives_that_lie_are_refused() {
    if no_curl() {
        return;
    }
    let climbing = |tar: &mut Builder<Vec<u8>>| {
        let mut header = Header::new_gnu();
        let name = b"folder/../../../evil";
        header.as_old_mut().name[..name.len()].copy_from_slice(name);
        header.set_size(3);
        header.set_cksum();
        tar.append(&header, &b"abc"[..]).unwrap();
    };
    let link = |tar: &mut Builder<Vec<u8>>| {
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::Symlink);
        header.set_size(0);
        tar.append_link(&mut header, "folder/data_batch_1.bin", "/etc/passwd").unwrap();
    };
    let whole = archive(&[], |_| ());
    for (sent, text) in [
        (archive(&[], climbing), "a path that leads outside its folder"),
        (archive(&[], link), "not a file or a folder"),
        (
            archive(&["data_batch_2.bin"], |_| ()),
            "the unpacked archive is incomplete: data_batch_2.bin is missing",
        ),
        (whole[..whole.len() / 2].to_vec().leak(), "the archive is damaged"),
        (b"no archive", "the archive is damaged"),
    ] {
        let (server, root) = (Server::start(Manner::Sends(sent)), tempfile::tempdir().unwrap());
        let inner = root.path().join("a/b");
        let error = fetch_set(&set(sent), &server, &inner).0.unwrap_err().to_string();
        assert!(error.contains(text), "`{text}` is not in: {error}");
        assert!(!inner.join("small-bin").exists() && names(root.path()) == ["a"], "{text}");
    }
    // An archive that differs from the published one.
    let (server, root) = (Server::start(Manner::Sends(whole)), tempfile::tempdir().unwrap());
    let error = fetch_set(&set(b"other"), &server, root.path()).0.unwrap_err().to_string();
    assert!(error.contains("md5 of the archive") && error.contains(hex(whole)), "{error}");
}

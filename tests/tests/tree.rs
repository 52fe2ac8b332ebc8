//! The rules of the tree that no compiler checks: layers, inherited settings, `unsafe`, the top level, the length of files.
//!
//! Each rule is a function from what it looks at to complaints; each is tested twice, on the tree and on a breach.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a tree that cannot be read fails the test")]

use std::fs;
use std::path::{Path, PathBuf};

use toml::Table;

/// The crates in layers, the lowest first, as ARCHITECTURE.md draws them. A crate may use those before it, in its own layer
/// too.
const LAYERS: [&[&str]; 7] = [
    &["time", "wire", "publish", "cpu", "dpdk-sys"],
    &["ntp", "ptp", "servo"],
    &["engine", "offsets"],
    &["nic", "nic-sim", "nic-kernel", "nic-dpdk", "phc"],
    &["dataplane", "sim", "loadgen"],
    &["ops"],
    &["sidereal"],
];

/// The crates that may hold `unsafe`.
const UNSAFE: [&str; 6] = ["publish", "cpu", "dpdk-sys", "nic-kernel", "nic-dpdk", "phc"];

/// What the top level may hold besides dotfiles, documents and licences. `target` is what cargo builds; git ignores it.
const TOP_LEVEL: [&str; 12] = [
    "Cargo.lock",
    "Cargo.toml",
    "bench",
    "clippy.toml",
    "crates",
    "deny.toml",
    "hw",
    "rust-toolchain.toml",
    "rustfmt.toml",
    "scripts",
    "target",
    "tests",
];

/// Where source files are.
const SOURCES: [&str; 6] = [".ci", "bench", "crates", "hw", "scripts", "tests"];
const LINES_MAX: usize = 700;

#[test]
fn every_crate_has_its_layer_and_every_layer_its_crates() {
    let mut found: Vec<String> = crates().into_iter().map(|(folder, _)| folder).collect();
    let mut listed = LAYERS.concat();
    found.sort_unstable();
    listed.sort_unstable();
    assert_eq!(found, listed, "the folders of crates/, and the table of layers in this test");
}

#[test]
fn no_crate_uses_a_higher_one() {
    assert_clean(crates().iter().flat_map(|(folder, manifest)| layer_breaches(folder, manifest)));
}

#[test]
fn every_crate_has_its_name_and_inherits_its_settings() {
    assert_clean(crates().iter().flat_map(|(folder, manifest)| manifest_breaches(folder, manifest)));
}

#[test]
fn unsafe_code_is_where_the_list_says() {
    assert_clean(crates().iter().flat_map(|(folder, _)| {
        let roots = crate_roots(&root().join("crates").join(folder).join("src"));
        assert!(!roots.is_empty(), "crates/{folder} has no src/lib.rs and no src/main.rs");
        roots.into_iter().filter_map(|root| unsafe_breach(folder, &read(&root)))
    }));
}

#[test]
fn the_top_level_holds_what_was_agreed() {
    let entries = entries(&root()).into_iter().map(|entry| name(&entry));
    assert_clean(entries.filter_map(|entry| top_level_breach(&entry)));
}

#[test]
fn no_source_file_is_too_long() {
    let mut files = Vec::new();
    for folder in SOURCES {
        files.extend(source_files(&root().join(folder)));
    }
    assert!(files.contains(&root().join("crates/time/src/lib.rs")), "the walk finds source files");
    assert!(files.len() > LAYERS.concat().len());
    assert_clean(files.iter().filter_map(|file| length_breach(file, &read(file))));
}

fn layer_breaches(folder: &str, manifest: &Table) -> Vec<String> {
    let order = LAYERS.concat();
    let place = |folder: &str| order.iter().position(|listed| *listed == folder);
    let ours = dependencies(manifest).into_iter().filter(|dependency| dependency.kind != "dev-dependencies");
    let ours = ours.filter_map(|dependency| folder_of(&dependency.name));
    // A crate without a place may use none, and none may use it.
    ours.filter(|used| place(used).is_none() || place(used) >= place(folder))
        .map(|used| format!("crates/{folder} uses crates/{used}, which does not come before it"))
        .collect()
}

fn manifest_breaches(folder: &str, manifest: &Table) -> Vec<String> {
    let mut breaches = Vec::new();
    let mut expect = |met: bool, rule: &str| {
        if !met {
            breaches.push(format!("crates/{folder}/Cargo.toml: {rule}"));
        }
    };
    let package = manifest.get("package").and_then(toml::Value::as_table).cloned().unwrap_or_default();
    let named = package.get("name").and_then(toml::Value::as_str).and_then(folder_of);
    expect(named.as_deref() == Some(folder), "the package is not named after its folder");
    expect(is_inherited(manifest.get("lints")), "[lints] lacks `workspace = true`");
    for key in ["version", "edition", "rust-version", "license", "publish"] {
        expect(is_inherited(package.get(key)), &format!("`{key}` lacks `workspace = true`"));
    }
    for Dependency { kind, name, inherited } in dependencies(manifest) {
        expect(inherited, &format!("`{name}` in [{kind}] lacks `workspace = true`"));
    }
    breaches
}

fn unsafe_breach(folder: &str, source: &str) -> Option<String> {
    let code = source.lines().filter(|line| !line.trim_start().starts_with("//"));
    let code: String = code.flat_map(|line| line.chars()).filter(|c| !c.is_whitespace()).collect();
    if !UNSAFE.contains(&folder) {
        let forbidden = code.contains("#![forbid(unsafe_code)]");
        return (!forbidden).then(|| format!("crates/{folder}: a root lacks `#![forbid(unsafe_code)]`"));
    }
    let reason = code.split_once("#![allow(unsafe_code,reason=\"").map(|(_, reason)| reason);
    let given = reason.is_some_and(|reason| !reason.starts_with('"'));
    (!given).then(|| format!("crates/{folder}: a root lacks `#![allow(unsafe_code, reason = \"...\")]`"))
}

fn top_level_breach(entry: &str) -> Option<String> {
    let is_document = entry
        .strip_suffix(".md")
        .is_some_and(|stem| !stem.is_empty() && stem.chars().all(|c| c.is_ascii_uppercase() || c == '_' || c == '-'));
    let agreed = TOP_LEVEL.contains(&entry) || is_document || entry.starts_with("LICENSE-") || entry.starts_with('.');
    (!agreed).then(|| format!("{entry} does not belong at the top level"))
}

fn length_breach(path: &Path, source: &str) -> Option<String> {
    let lines = source.lines().count();
    (lines > LINES_MAX).then(|| format!("{} has {lines} lines, more than {LINES_MAX}", path.display()))
}

struct Dependency {
    kind: String,
    name: String,
    inherited: bool,
}

/// All dependencies of a manifest: of the package, its tests, its build, and those for some targets only.
fn dependencies(manifest: &Table) -> Vec<Dependency> {
    let mut found = Vec::new();
    for kind in ["dependencies", "dev-dependencies", "build-dependencies"] {
        for (name, value) in manifest.get(kind).and_then(toml::Value::as_table).into_iter().flatten() {
            found.push(Dependency { kind: kind.to_owned(), name: name.clone(), inherited: is_inherited(Some(value)) });
        }
    }
    let targets = manifest.get("target").and_then(toml::Value::as_table);
    found.extend(targets.into_iter().flatten().filter_map(|(_, target)| target.as_table()).flat_map(dependencies));
    found
}

fn is_inherited(value: Option<&toml::Value>) -> bool {
    value.and_then(|value| value.get("workspace")).and_then(toml::Value::as_bool) == Some(true)
}

/// The folder of a package of ours.
fn folder_of(package: &str) -> Option<String> {
    let keeps_its_name = ["dpdk-sys", "sidereal"].contains(&package);
    if keeps_its_name { Some(package) } else { package.strip_prefix("sidereal-") }.map(str::to_owned)
}

/// Folder and manifest of every crate.
fn crates() -> Vec<(String, Table)> {
    let folders = entries(&root().join("crates"));
    folders.iter().map(|folder| (name(folder), read(&folder.join("Cargo.toml")).parse().unwrap())).collect()
}

/// The files with which a crate's library and programs begin.
fn crate_roots(src: &Path) -> Vec<PathBuf> {
    let mut roots = vec![src.join("lib.rs"), src.join("main.rs")];
    if src.join("bin").is_dir() {
        roots.extend(entries(&src.join("bin")));
    }
    roots.retain(|root| root.is_file());
    roots
}

/// All files below `folder` that people write line by line: by their extension, and the scripts that have none.
fn source_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    if !folder.is_dir() {
        return found;
    }
    for entry in entries(folder) {
        let extension = entry.extension().and_then(|extension| extension.to_str());
        if entry.is_dir() {
            // Targets of the fuzzer are built in a folder of their own.
            if name(&entry) != "target" {
                found.extend(source_files(&entry));
            }
        } else if matches!(extension, Some("c" | "h" | "py" | "rs" | "sh")) || is_script(&entry) {
            found.push(entry);
        }
    }
    found
}

fn is_script(path: &Path) -> bool {
    path.extension().is_none() && fs::read(path).is_ok_and(|content| content.starts_with(b"#!"))
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}

fn name(path: &Path) -> String {
    path.file_name().unwrap().to_str().unwrap().to_owned()
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn assert_clean(breaches: impl Iterator<Item = String>) {
    let breaches: Vec<String> = breaches.collect();
    assert!(breaches.is_empty(), "{}", breaches.join("\n"));
}

mod breaches {
    use std::path::Path;

    use super::{LINES_MAX, layer_breaches, length_breach, manifest_breaches, top_level_breach, unsafe_breach};

    const CLEAN: &str = r#"
        [package]
        name = "sidereal-ntp"
        version.workspace = true
        edition.workspace = true
        rust-version.workspace = true
        license.workspace = true
        publish.workspace = true
        [lints]
        workspace = true
        [dependencies]
        arrayvec.workspace = true
        sidereal-time = { workspace = true, features = ["x"] }
        [dev-dependencies]
        sidereal-ops.workspace = true
    "#;

    fn layers(folder: &str, manifest: &str) -> Vec<String> {
        layer_breaches(folder, &manifest.parse().unwrap())
    }

    fn manifest(manifest: &str) -> Vec<String> {
        manifest_breaches("ntp", &manifest.parse().unwrap())
    }

    #[test]
    fn of_layers() {
        assert_eq!(layers("ntp", CLEAN), [""; 0]);
        let above = "[dependencies]\nsidereal-engine.workspace = true";
        assert_eq!(layers("ntp", above), ["crates/ntp uses crates/engine, which does not come before it"]);
        assert_eq!(layers("engine", above).len(), 1, "a crate may not use itself");
        assert_eq!(layers("dataplane", above), [""; 0]);
        let beside = "[build-dependencies]\nsidereal-servo.workspace = true";
        assert_eq!(layers("ntp", beside).len(), 1);
        let for_a_target = "[target.'cfg(unix)'.dependencies]\nsidereal.workspace = true";
        assert_eq!(layers("ops", for_a_target).len(), 1);
        let unknown = "[dependencies]\nsidereal-tests.workspace = true";
        assert_eq!(layers("sidereal", unknown).len(), 1);
        assert_eq!(layers("unknown", "[dependencies]\nsidereal-time.workspace = true").len(), 1);
    }

    #[test]
    fn of_manifests() {
        assert_eq!(manifest(CLEAN), [""; 0]);
        for (from, to, complaint) in [
            ("sidereal-ntp", "sidereal-npt", "the package is not named after its folder"),
            ("[lints]\n        workspace = true", "", "[lints] lacks `workspace = true`"),
            ("edition.workspace = true", "edition = \"2021\"", "`edition` lacks `workspace = true`"),
            ("arrayvec.workspace = true", "arrayvec = \"1\"", "`arrayvec` in [dependencies] lacks `workspace = true`"),
            (
                "sidereal-ops.workspace",
                "sidereal-ops.optional",
                "`sidereal-ops` in [dev-dependencies] lacks `workspace = true`",
            ),
            (
                "{ workspace = true,",
                "{ workspace = false,",
                "`sidereal-time` in [dependencies] lacks `workspace = true`",
            ),
        ] {
            let breached = CLEAN.replacen(from, to, 1);
            assert_ne!(breached, CLEAN);
            assert_eq!(manifest(&breached), [format!("crates/ntp/Cargo.toml: {complaint}")]);
        }
    }

    #[test]
    fn of_unsafe_code() {
        let forbids = "//! Text.\n#![forbid(unsafe_code)]\n";
        let allows = "#![allow(\n    unsafe_code,\n    reason = \"speaks to the kernel\"\n)]\n";
        assert_eq!(unsafe_breach("ntp", forbids), None);
        assert_eq!(unsafe_breach("cpu", allows), None);
        for (folder, source) in [
            ("ntp", ""),
            ("ntp", allows),
            ("ntp", "// #![forbid(unsafe_code)]\n"),
            ("ntp", "#![deny(unsafe_code)]\n"),
            ("cpu", ""),
            ("cpu", forbids),
            ("cpu", "#![allow(unsafe_code)]\n"),
            ("cpu", "#![allow(unsafe_code, reason = \"\")]\n"),
        ] {
            assert!(unsafe_breach(folder, source).is_some(), "{folder}: {source}");
        }
    }

    #[test]
    fn of_the_top_level() {
        for entry in ["Cargo.toml", "crates", "README.md", "CODE_OF-CONDUCT.md", "LICENSE-MIT", ".gitignore"] {
            assert_eq!(top_level_breach(entry), None);
        }
        for entry in ["notes.md", "Readme.md", "src", "build.rs", "LICENSE", "Makefile", "README.txt"] {
            assert!(top_level_breach(entry).is_some(), "{entry}");
        }
    }

    #[test]
    fn of_length() {
        assert_eq!(length_breach(Path::new("a.rs"), &"\n".repeat(LINES_MAX)), None);
        let complaint = length_breach(Path::new("a.rs"), &"\n".repeat(LINES_MAX + 1)).unwrap();
        assert_eq!(complaint, "a.rs has 701 lines, more than 700");
    }
}

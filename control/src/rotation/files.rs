//! The secret that is a file beside SQLite, changed.
//!
//! Guarantee: the former secret is in a file of its own, on disk, before the present one is replaced; so a rotation that was interrupted anywhere
//! goes on where it was, and nothing is sealed with a secret that is not kept.

use std::{
    fs::{remove_file, rename},
    io::ErrorKind,
    path::Path,
};

use runtime::{
    config::{Control as Settings, ControlPlace},
    private,
};

use crate::{
    error::Error,
    secret::{FILE, FORMER, make_folder, of_file},
};

/// Makes another secret, where it is ours to make.
pub(super) fn begin(settings: &Settings) -> Result<(), Error> {
    match (&settings.place, &settings.secret, &settings.former_secret) {
        (ControlPlace::Sqlite(file), None, _) => another(make_folder(file)?),
        (_, Some(_), Some(_)) => Ok(()),
        (_, _, _) => Err(Error::Settings(
            "`[control] former_secret` is missing: write a new one as `secret` and the one that was there as `former_secret`, in the file of \
             every process, start them again one by one, and then run this again"
                .to_owned(),
        )),
    }
}

fn another(folder: &Path) -> Result<(), Error> {
    let (present, former) = (folder.join(FILE), folder.join(FORMER));
    let failed = |e: std::io::Error| Error::Settings(format!("the control store's secret {}: {e}", present.display()));
    let now = of_file(&present)?;
    private::create(&former, now.expose()).map_err(failed)?;
    // One that was begun before, and came so far, goes on with the secret that it made.
    if of_file(&former)? != now {
        return Ok(());
    }
    let new = private::random::<32>().map(const_hex::encode).map_err(failed)?;
    private::put(&present, &new, |draft| rename(draft, &present)).map_err(failed)
}

/// Removes the file with the former secret, where it is ours.
pub(super) fn finish(settings: &Settings) -> Result<(), Error> {
    let (ControlPlace::Sqlite(file), None) = (&settings.place, &settings.secret) else { return Ok(()) };
    let former = make_folder(file)?.join(FORMER);
    match remove_file(&former) {
        Err(e) if e.kind() != ErrorKind::NotFound => {
            Err(Error::Settings(format!("the former secret {} cannot be removed: {e}", former.display())))
        }
        _ => Ok(()),
    }
}

use std::fs;
use std::future::Future;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf, copy_bidirectional_with_sizes};
use tokio::net::{UnixListener, UnixStream};
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

use super::DialFault;

/// Bytes carried at once in each direction.
const RELAY_BUFFER: usize = 16 * 1024;
/// How long a closing relay waits to tell the server so.
const FAREWELL: Duration = Duration::from_secs(1);

/// A Unix socket in a fresh folder only this user may enter, through which the driver reaches a
/// server that has already been logged in to. Admits one caller; folder and socket go with it.
pub(super) struct Doorway {
    dir: PathBuf,
    socket: PathBuf,
    listener: UnixListener,
}

impl Doorway {
    /// Opens a doorway below `base`, its socket called `name`.
    pub(super) fn open(base: &Path, name: &str) -> Result<Self, DialFault> {
        let mut random = [0; 8];
        aws_lc_rs::rand::fill(&mut random).map_err(|_| DialFault::internal("no randomness"))?;
        let dir = base.join(format!("wardgate-{:016x}", u64::from_le_bytes(random)));
        let socket = dir.join(name);
        let failed = |_| DialFault::internal("the folder for the driver's socket is not usable");
        fs::DirBuilder::new().mode(0o700).create(&dir).map_err(failed)?;
        match UnixListener::bind(&socket) {
            Ok(listener) => Ok(Self { dir, socket, listener }),
            Err(error) => {
                let _ = fs::remove_dir(&dir);
                Err(failed(error))
            }
        }
    }

    /// The socket.
    pub(super) fn socket(&self) -> &Path {
        &self.socket
    }

    /// Waits for the driver, and makes sure that it is this process that calls.
    async fn admit(self) -> Result<UnixStream, DialFault> {
        let failed = |_| DialFault::internal("the driver did not come through its socket");
        let (stream, _) = self.listener.accept().await.map_err(failed)?;
        let pid = stream.peer_cred().map_err(failed)?.pid();
        if pid.is_some_and(|pid| i64::from(pid) != i64::from(std::process::id())) {
            return Err(DialFault::internal("another process came through the driver's socket"));
        }
        Ok(stream)
    }
}

impl Drop for Doorway {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.socket);
        let _ = fs::remove_dir(&self.dir);
    }
}

/// Connects the driver to `server` through `doorway`: `driver` is the driver's connecting, `welcome`
/// plays the server's part of a login that asks for nothing. From then on a task of `sessions` carries
/// bytes both ways until either end closes; nothing is left behind when this future is dropped.
pub(super) async fn attach<C>(
    doorway: Doorway,
    driver: impl Future<Output = Result<C, sqlx::Error>>,
    welcome: impl AsyncFnOnce(&mut UnixStream) -> io::Result<()>,
    server: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    sessions: &TaskTracker,
) -> Result<C, DialFault> {
    let failed = || DialFault::internal("the driver could not be attached");
    let admit = async {
        let mut client = doorway.admit().await?;
        welcome(&mut client).await.map_err(|_| failed())?;
        sessions.spawn(carry(client, server));
        Ok(())
    };
    let driver = async { driver.await.map_err(|_| failed()) };
    let (connection, ()) = tokio::try_join!(driver, admit)?;
    Ok(connection)
}

async fn carry(client: UnixStream, mut server: impl AsyncRead + AsyncWrite + Unpin) {
    let mut client = Client(client);
    // Either end may fail at any time; both are dropped and each side sees its peer gone.
    let _ =
        copy_bidirectional_with_sizes(&mut client, &mut server, RELAY_BUFFER, RELAY_BUFFER).await;
    drop(client);
    let _ = timeout(FAREWELL, server.shutdown()).await;
}

/// The driver's end. Its closing is an error here, because a plain end of file would leave the other
/// direction waiting for a server that may never speak again.
struct Client(UnixStream);

impl AsyncRead for Client {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        match Pin::new(&mut self.0).poll_read(cx, buf) {
            Poll::Ready(Ok(())) if buf.filled().len() == before && buf.remaining() > 0 => {
                Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()))
            }
            other => other,
        }
    }
}

impl AsyncWrite for Client {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

/* Writes the TLS keys of a program that has no key log of its own (Kamailio before 6.1), in the NSS format that
 * Wireshark reads (draft-ietf-tls-keylogfile). Loaded with LD_PRELOAD; the file is named by UCLAB_TLS_KEYLOG.
 *
 * OpenSSL calls a callback of the SSL_CTX for each secret; it is set on every SSL_new(), because that is the one
 * call which all connections of the program pass, whoever made the context.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/ssl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

/* One writev() on an O_APPEND file is one line, whole, however many worker processes write at once. The file is opened
 * again each time: descriptors are not to be carried through the daemon's forks, and handshakes are few. */
static void log_secret(const SSL *connection, const char *line) {
    (void)connection;
    const char *path = getenv("UCLAB_TLS_KEYLOG");
    if (path == NULL || *path == '\0')
        return;
    int saved_errno = errno;
    int file = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
    if (file >= 0) {
        struct iovec parts[] = {{(void *)(uintptr_t)line, strlen(line)}, {"\n", 1}};
        ssize_t written = writev(file, parts, 2);
        (void)written; /* nobody to tell: the judge reports sessions without keys as "not shown" */
        close(file);
    }
    errno = saved_errno;
}

SSL *SSL_new(SSL_CTX *context) {
    static SSL *(*next)(SSL_CTX *);
    if (next == NULL) {
        *(void **)(&next) = dlsym(RTLD_NEXT, "SSL_new");
        if (next == NULL)
            return NULL;
    }
    if (context != NULL && SSL_CTX_get_keylog_callback(context) == NULL)
        SSL_CTX_set_keylog_callback(context, log_secret);
    return next(context);
}

/* Attempts to reach the network: noted with host and port, left as they are. */
#include "real.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/un.h>

enum { KFM_ADDRESS = 512 };

static void add_port(char *into, size_t room, unsigned port) {
    char digits[8];
    size_t count = 0, end = strlen(into);
    do {
        digits[count++] = (char)('0' + port % 10);
        port /= 10;
    } while (port != 0);
    if (end + count + 2 > room) {
        return;
    }
    into[end++] = ':';
    while (count > 0) {
        into[end++] = digits[--count];
    }
    into[end] = '\0';
}

/* The address as text; false for a family that leads to no other machine and to no file. */
static bool write_address(const struct sockaddr *address, socklen_t size, char into[KFM_ADDRESS]) {
    if (address == NULL || size < sizeof address->sa_family) {
        return false;
    }
    if (address->sa_family == AF_INET && size >= sizeof(struct sockaddr_in)) {
        struct sockaddr_in four;
        memcpy(&four, address, sizeof four);
        inet_ntop(AF_INET, &four.sin_addr, into, KFM_ADDRESS);
        add_port(into, KFM_ADDRESS, ntohs(four.sin_port));
        return true;
    }
    if (address->sa_family == AF_INET6 && size >= sizeof(struct sockaddr_in6)) {
        struct sockaddr_in6 six;
        memcpy(&six, address, sizeof six);
        into[0] = '[';
        inet_ntop(AF_INET6, &six.sin6_addr, into + 1, KFM_ADDRESS - 16);
        strcat(into, "]");
        add_port(into, KFM_ADDRESS, ntohs(six.sin6_port));
        return true;
    }
    if (address->sa_family == AF_UNIX && size > offsetof(struct sockaddr_un, sun_path)) {
        const char *path = (const char *)address + offsetof(struct sockaddr_un, sun_path);
        size_t length = size - offsetof(struct sockaddr_un, sun_path);
        memcpy(into, "unix:", 5);
        if (length > KFM_ADDRESS - 6) {
            length = KFM_ADDRESS - 6;
        }
        memcpy(into + 5, path, length);
        into[5 + length] = '\0';
        if (into[5] == '\0' && length > 0) {
            into[5] = '@'; /* an abstract name */
        }
        return true;
    }
    return false;
}

KFM_EXPORT int connect(int fd, const struct sockaddr *address, socklen_t size) {
    char text[KFM_ADDRESS] = "";
    bool active = kfm_active();
    KFM_MISSING_REAL(connect, -1);
    int result = kfm_real.connect(fd, address, size);
    if (active && kfm_observing(KFM_CONNECT)) {
        int saved = errno;
        if (write_address(address, size, text)) {
            kfm_log(KFM_CONNECT, result != 0 ? saved : 0, "connect", text);
        }
        errno = saved;
    }
    return result;
}

KFM_EXPORT ssize_t sendto(int fd, const void *data, size_t size, int flags, const struct sockaddr *address,
                          socklen_t length) {
    char text[KFM_ADDRESS] = "";
    bool active = kfm_active();
    KFM_MISSING_REAL(sendto, -1);
    ssize_t result = kfm_real.sendto(fd, data, size, flags, address, length);
    if (active && address != NULL && kfm_observing(KFM_CONNECT)) {
        int saved = errno;
        if (write_address(address, length, text)) {
            kfm_log(KFM_CONNECT, result < 0 ? saved : 0, "sendto", text);
        }
        errno = saved;
    }
    return result;
}

KFM_EXPORT int getaddrinfo(const char *restrict host, const char *restrict service,
                           const struct addrinfo *restrict hints, struct addrinfo **restrict found) {
    char text[KFM_ADDRESS] = "";
    bool active = kfm_active();
    if (kfm_real.getaddrinfo == NULL) {
        return EAI_SYSTEM;
    }
    int result = kfm_real.getaddrinfo(host, service, hints, found);
    if (active && host != NULL && kfm_observing(KFM_RESOLVE)) {
        strncat(text, host, KFM_ADDRESS - 64);
        if (service != NULL) {
            strcat(text, ":");
            strncat(text, service, 48);
        }
        kfm_log(KFM_RESOLVE, result == 0 ? 0 : ENOENT, "getaddrinfo", text);
    }
    return result;
}

KFM_EXPORT struct hostent *gethostbyname(const char *host) {
    bool active = kfm_active();
    if (kfm_real.gethostbyname == NULL) {
        return NULL;
    }
    struct hostent *found = kfm_real.gethostbyname(host);
    if (active) {
        kfm_log(KFM_RESOLVE, found == NULL ? ENOENT : 0, "gethostbyname", host);
    }
    return found;
}

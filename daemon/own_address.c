/* own_address.c - the addresses of this host's interfaces. */
#include "daemon/own_address.h"

#include <ifaddrs.h>
#include <netinet/in.h>
#include <string.h>

static struct ip_address ip_of(const struct sockaddr *sa)
{
    struct sockaddr_storage storage = {0};

    if (sa->sa_family == AF_INET)
        memcpy(&storage, sa, sizeof(struct sockaddr_in));
    else if (sa->sa_family == AF_INET6)
        memcpy(&storage, sa, sizeof(struct sockaddr_in6));
    return endpoint_from_sockaddr(&storage).ip;
}

bool is_own_address(const struct ip_address *ip)
{
    struct ip_address wanted = ip_unmapped(ip);
    struct ifaddrs *all;
    bool found = false;

    if (ip_is_loopback(&wanted) || ip_is_unspecified(&wanted) || getifaddrs(&all) != 0)
        return true;
    for (struct ifaddrs *one = all; one && !found; one = one->ifa_next) {
        struct ip_address own;

        if (!one->ifa_addr)
            continue;
        own = ip_of(one->ifa_addr);
        found = ip_equal(&own, &wanted);
    }
    freeifaddrs(all);
    return found;
}

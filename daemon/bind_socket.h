/* bind_socket.h - the listening socket of one BIND: where a peer finds us, and at which port. */
#ifndef PAIRSOCKS_BIND_SOCKET_H
#define PAIRSOCKS_BIND_SOCKET_H

#include "config/config.h"
#include "streams/error.h"

/* The address of ours that faces `peer`; nothing is sent. False: there is no way to it, see
 * stream_error_connect(). */
bool bind_socket_facing(const struct ip_address *peer, struct ip_address *ret_own,
                        struct stream_error *ret_error);

/* Listens on `own`, at one of the listener's bind_ports. Non-blocking, close-on-exec, for one connection:
 * its backlog is small. -1: policy.limit.bind-ports, policy.limit.descriptors or system.listen.*. */
int bind_socket_open(const struct ip_address *own, const struct config_listener *listener,
                     struct ip_endpoint *ret_bound, struct stream_error *ret_error);

/* Takes who has come; the socket stays open. Non-blocking, close-on-exec. -1: nobody is there (no error
 * is set), or *ret_error. */
int bind_socket_accept(int fd, struct ip_endpoint *ret_peer, struct stream_error *ret_error);

#endif

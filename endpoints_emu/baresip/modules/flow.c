/*
 * flow: watches the connections of baresip 1.1.0 to its registrars, and registers when it is told to.
 *
 *   flow_keepalive  4               seconds of silence until the kernel asks whether the other end is there
 *   flow_probe      1               seconds between questions without an answer
 *   flow_lost       6               seconds of silence until the connection is given up
 *   /register <number>              register the account of that number (in the order in which they were made)
 *   /unregister <number>            take its registration back
 *   event MODULE "flow,accepted|failed,<number> <text>"      what came of it, or that the connection was lost
 *
 * Why a module: re 2.0.1 asks after 16 s at the earliest (RFC 5626's own keep-alive, never below 20 s), waits
 * 10 s for the answer, and re-registers after 30 to 60 s; its events do not say which of several accounts of one
 * address of record they concern; and baresip 1.1.0 has no command to register.
 *
 * TCP keep-alive and TCP_USER_TIMEOUT are the kernel's (tcp(7)). They also end a connection that is still being
 * opened, and one on which something that was sent is not acknowledged. Sockets are looked at twice a second: re opens
 * them after its name look-up, and tells nobody.
 *
 * Declarations are those of baresip.h 1.1.0 and re 2.0.1 as far as they are used here.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "command.h"
#include "sip.h"

struct call;
struct conf;

struct tmr {
	struct le le;
	void (*th)(void *arg);
	void *arg;
	uint64_t jfs;
};

enum { REGISTER_OK = 1, REGISTER_FAIL = 2, LOOK_MS = 500, HIGHEST_FD = 256 };
typedef void (ua_event_h)(struct ua *ua, int ev, struct call *call, const char *prm, void *arg);

void tmr_start(struct tmr *tmr, uint64_t delay, void (*th)(void *arg), void *arg);
void tmr_cancel(struct tmr *tmr);
struct conf *conf_cur(void);
int conf_get_u32(const struct conf *conf, const char *name, uint32_t *num);
int ua_register(struct ua *ua);
void ua_unregister(struct ua *ua);
int uag_event_register(ua_event_h *eh, void *arg);
void uag_event_unregister(ua_event_h *eh);
void module_event(const char *module, const char *event, struct ua *ua, struct call *call, const char *fmt, ...);

static uint32_t keepalive_s, probe_s, lost_s;
static struct tmr looking;


/* A TCP connection of our own making to somewhere else: not the control port's, which is on 127.0.0.1 */
static bool is_outside(int fd)
{
	struct tcp_info info;
	struct sockaddr_in local;
	socklen_t size = sizeof(info);

	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size))
		return false;
	if (info.tcpi_state != TCP_ESTABLISHED && info.tcpi_state != TCP_SYN_SENT)
		return false;

	size = sizeof(local);
	if (getsockname(fd, (struct sockaddr *)&local, &size) || local.sin_family != AF_INET)
		return false;

	return (ntohl(local.sin_addr.s_addr) >> 24) != 127;
}


static void look(void *arg)
{
	const int on = 1, idle = (int)keepalive_s, interval = (int)probe_s;
	const unsigned lost_ms = lost_s * 1000;
	(void)arg;

	for (int fd = 3; fd < HIGHEST_FD; fd++) {
		int watched = 0;
		socklen_t size = sizeof(watched);

		if (!is_outside(fd))
			continue;
		/* once only: the kernel's clock would start again each time */
		if (!getsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &watched, &size) && watched)
			continue;
		setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
		setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof(interval));
		setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &lost_ms, sizeof(lost_ms));
		setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	}

	tmr_start(&looking, LOOK_MS, look, NULL);
}


static struct ua *numbered(const char *text)
{
	struct le *le = uag_list()->head;

	for (long number = text ? strtol(text, NULL, 10) : -1; le && number > 0; number--)
		le = le->next;

	return le && text ? le->data : NULL;
}


static int number_of(const struct ua *ua)
{
	int number = 0;

	for (struct le *le = uag_list()->head; le; le = le->next, number++) {
		if (le->data == ua)
			return number;
	}

	return -1;
}


static int cmd_reg(struct re_printf *pf, void *arg)
{
	struct ua *ua = numbered(((struct cmd_arg *)arg)->prm);

	if (!ua) {
		re_hprintf(pf, "register: no such account\n");
		return ENOENT;
	}

	return ua_register(ua);
}


static int cmd_unreg(struct re_printf *pf, void *arg)
{
	struct ua *ua = numbered(((struct cmd_arg *)arg)->prm);

	if (!ua) {
		re_hprintf(pf, "unregister: no such account\n");
		return ENOENT;
	}

	ua_unregister(ua);

	return 0;
}


static void on_event(struct ua *ua, int ev, struct call *call, const char *prm, void *arg)
{
	(void)call;
	(void)arg;

	if (ev == REGISTER_OK)
		module_event("flow", "accepted", ua, NULL, "%d %s", number_of(ua), prm);
	else if (ev == REGISTER_FAIL)
		module_event("flow", "failed", ua, NULL, "%d %s", number_of(ua), prm);
}


static const struct cmd cmdv[] = {
	{"register", 0, CMD_PRM, "Register <number of the account>", cmd_reg},
	{"unregister", 0, CMD_PRM, "Unregister <number of the account>", cmd_unreg},
};


static int module_init(void)
{
	int err = conf_get_u32(conf_cur(), "flow_keepalive", &keepalive_s);

	err |= conf_get_u32(conf_cur(), "flow_probe", &probe_s);
	err |= conf_get_u32(conf_cur(), "flow_lost", &lost_s);
	if (err)
		return EINVAL;

	err = uag_event_register(on_event, NULL);
	if (err)
		return err;

	look(NULL);

	return cmd_register(baresip_commands(), cmdv, 2);
}


static int module_close(void)
{
	tmr_cancel(&looking);
	cmd_unregister(baresip_commands(), cmdv);
	uag_event_unregister(on_event);

	return 0;
}


const struct mod_export exports = {"flow", "application", module_init, module_close};

/*
 * What every module of the lab says of itself to baresip 1.1.0, and how it gets commands of its own.
 *
 * Declarations are those of baresip.h 1.1.0 and re 2.0.1 as far as they are used here.
 */
#ifndef UCLAB_COMMAND_H
#define UCLAB_COMMAND_H

#include <stddef.h>

struct commands;
struct re_printf;

struct cmd_arg {
	char key;
	char *prm;
	void *data;
};

struct cmd {
	const char *name;
	char key;
	int flags;
	const char *desc;
	int (*h)(struct re_printf *pf, void *arg);
};

struct mod_export {
	const char *name;
	const char *type;
	int (*init)(void);
	int (*close)(void);
};

enum { CMD_PRM = 1 };

int re_hprintf(struct re_printf *pf, const char *fmt, ...);
struct commands *baresip_commands(void);
int cmd_register(struct commands *commands, const struct cmd *cmdv, size_t cmdc);
void cmd_unregister(struct commands *commands, const struct cmd *cmdv);

#endif

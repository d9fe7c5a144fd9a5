WORD = "beside the playbook"
